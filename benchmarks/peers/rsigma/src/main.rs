//! rsigma-peer JOB → figures as JSON. JOB is the JSON text of a `job::Job`; every engine is given the same.

mod correlate;
mod job;
mod matching;

#[cfg(feature = "tuned")]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() {
    let text = std::env::args().nth(1).expect("a job");
    let job: job::Job = serde_json::from_str(&text).expect("a job");
    let figures = if job.correlate { correlate::run(&job) } else { matching::run(&job) };
    println!("{figures}");
}
