"""Other Sigma engines, as programs that take a job of `benchmarks.sigma_job` and print figures."""
