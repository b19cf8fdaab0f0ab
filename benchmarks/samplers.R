# The R tools of samplers.py: fit the sleep study, print a summary, fit again, write down the draws.
#
#   Rscript benchmarks/samplers.R TOOL                      prints the tool's version, if it is there
#   Rscript benchmarks/samplers.R TOOL FOLDER SEED REPEATS  reads data.csv and priors.csv in FOLDER
#
# Says {"done": "cold"} or {"done": "warm", "seconds": ...} on a line of its own whenever a summary is printed.

arguments <- commandArgs(trailingOnly = TRUE)
tool <- arguments[1]
suppressPackageStartupMessages(library(tool, character.only = TRUE))
if (length(arguments) == 1) {
  packages <- c(tool, if (tool %in% c("brms", "rstanarm")) "rstan")
  versions <- vapply(packages, function(name) paste(name, packageVersion(name)), "")
  cat(paste(versions, collapse = ", "), "\n")
  quit()
}
folder <- arguments[2]
seed <- as.integer(arguments[3])
repeats <- as.integer(arguments[4])

sleep <- read.csv(file.path(folder, "data.csv"))
sleep$subject <- factor(sleep$subject)
priors <- read.csv(file.path(folder, "priors.csv"), row.names = "name")
at <- function(name, column) priors[name, column]

# Each gives `fit`, `again` (the same with the compiled model kept), `show` and `draws`: for each chain a matrix
# with columns named as in hbutils, the subjects counted from 0.

subjects <- seq_len(nlevels(sleep$subject)) - 1

with_lines <- function(population, alpha, beta) {
  colnames(population) <- c("mu_alpha", "mu_beta", "sigma_alpha", "sigma_beta", "sigma")
  colnames(alpha) <- paste0("alpha.", subjects)
  colnames(beta) <- paste0("beta.", subjects)
  cbind(population, population[, "mu_alpha"] + alpha, population[, "mu_beta"] + beta)
}

with_brms <- function() {
  # Debian keeps Boost among the compiler's own headers, where this version of rstan does not look.
  if (!nzchar(rstan::rstan_options("boost_lib")) && dir.exists("/usr/include/boost")) {
    rstan::rstan_options(boost_lib = "/usr/include")
  }
  normal_at <- function(name, ...) {
    set_prior(sprintf("normal(%g, %g)", at(name, "centre"), at(name, "spread")), ...)
  }
  chosen <- c(
    normal_at("mu_alpha", class = "b", coef = "Intercept"),
    normal_at("mu_beta", class = "b", coef = "day"),
    normal_at("sigma_alpha", class = "sd", group = "subject", coef = "Intercept"),
    normal_at("sigma_beta", class = "sd", group = "subject", coef = "day"),
    normal_at("sigma", class = "sigma")
  )
  list(
    # Without the usual intercept, which belongs to the mean day: the prior is of day 0.
    fit = function(seed) {
      brm(reaction_ms ~ 0 + Intercept + day + (1 + day || subject), sleep, prior = chosen,
          chains = 4, iter = 2000, warmup = 1000, cores = 2, refresh = 0, seed = seed)
    },
    again = function(fit, seed) {
      update(fit, newdata = sleep, recompile = FALSE, cores = 2, refresh = 0, seed = seed)
    },
    show = function(fit) {
      print(summary(fit))
      print(coef(fit))
    },
    draws = function(fit) {
      lapply(1:4, function(chain) {
        one <- as.array(fit)[, chain, ]
        of <- function(term) one[, sprintf("r_subject[%s,%s]", levels(sleep$subject), term)]
        population <- one[, c("b_Intercept", "b_day", "sd_subject__Intercept", "sd_subject__day", "sigma")]
        with_lines(population, of("Intercept"), of("day"))
      })
    }
  )
}

with_rstanarm <- function() {
  # Its prior of an SD is a gamma distribution in units of the noise. Here it has the mean and SD of our half-normal
  # distribution, the noise taken from separate lines.
  noise <- sigma(lm(reaction_ms ~ subject * day, sleep))
  centre <- sqrt(2 / pi)
  shape <- centre^2 / (1 - centre^2)
  scales <- c(at("sigma_alpha", "spread"), at("sigma_beta", "spread")) * centre / shape / noise
  of_means <- c("mu_alpha", "mu_beta")
  fit <- function(seed) {
    # The column of ones takes the place of the usual intercept, which belongs to the mean day.
    sleep$one <- 1
    stan_lmer(reaction_ms ~ 0 + one + day + (1 | subject) + (0 + day | subject), sleep,
              prior = normal(at(of_means, "centre"), at(of_means, "spread"), autoscale = FALSE),
              prior_aux = normal(0, at("sigma", "spread"), autoscale = FALSE),
              prior_covariance = decov(shape = shape, scale = scales),
              chains = 4, iter = 2000, warmup = 1000, cores = 2, refresh = 0, seed = seed)
  }
  list(
    fit = fit,
    again = function(previous, seed) fit(seed), # it comes compiled
    show = function(fit) {
      print(summary(fit), digits = 2)
      print(coef(fit))
    },
    draws = function(fit) {
      lapply(1:4, function(chain) {
        one <- as.array(fit)[, chain, ]
        variance <- function(term) one[, sprintf("Sigma[subject:%s,%s]", term, term)]
        of <- function(term) one[, sprintf("b[%s subject:%s]", term, levels(sleep$subject))]
        spreads <- sqrt(cbind(variance("(Intercept)"), variance("day")))
        with_lines(cbind(one[, c("one", "day")], spreads, one[, "sigma"]), of("(Intercept)"), of("day"))
      })
    }
  )
}

with_lme4 <- function() {
  fit <- function(seed) lmer(reaction_ms ~ day + (day || subject), sleep)
  list(
    fit = fit,
    again = function(previous, seed) fit(seed),
    show = function(fit) {
      print(summary(fit))
      print(coef(fit))
    },
    draws = NULL
  )
}

made <- switch(tool, brms = with_brms(), rstanarm = with_rstanarm(), lme4 = with_lme4())
fit <- made$fit(seed)
made$show(fit)
cat('\n{"done": "cold"}\n')
flush(stdout())
for (k in seq_len(repeats)) {
  start <- proc.time()[["elapsed"]]
  fit <- made$again(fit, seed + k)
  made$show(fit)
  cat(sprintf('\n{"done": "warm", "seconds": %.4f}\n', proc.time()[["elapsed"]] - start))
  flush(stdout())
  if (!is.null(made$draws)) {
    all <- do.call(rbind, made$draws(fit)) # chain after chain
    write.csv(all, file.path(folder, sprintf("draws-%d.csv", k)), row.names = FALSE)
  }
}
