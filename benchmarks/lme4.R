# Fit lme4's model to a CSV file of y, x and g; print the seconds that the fit takes, reading left out, and the
# most memory that R has taken.
library(lme4, quietly = TRUE)
data <- read.csv(commandArgs(trailingOnly = TRUE)[1])
data$g <- factor(data$g)
seconds <- system.time(fit <- lmer(y ~ x + (x || g), data))[["elapsed"]]
status <- grep("VmHWM", readLines("/proc/self/status"), value = TRUE)
peak <- as.numeric(gsub("[^0-9]", "", status)) / 1024
cat(sprintf('{"seconds": %.3f, "peak_mb": %.1f}', seconds, peak))
