# Fit lme4's model to a CSV file of y, x and g; print the seconds that the fit takes, reading left out.
library(lme4, quietly = TRUE)
data <- read.csv(commandArgs(trailingOnly = TRUE)[1])
data$g <- factor(data$g)
seconds <- system.time(fit <- lmer(y ~ x + (x || g), data))[["elapsed"]]
sds <- as.data.frame(VarCorr(fit))$sdcor
cat(jsonlite::toJSON(list(seconds = seconds, version = as.character(packageVersion("lme4")),
                          mu_beta = fixef(fit)[["x"]], sigma_alpha = sds[1], sigma = sds[3]), auto_unbox = TRUE, digits = 10))
