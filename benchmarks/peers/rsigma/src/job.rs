//! What the benchmark asks for, and what every kind of run needs.

use std::{collections::BTreeMap, fs, io, path::PathBuf};

use rsigma_parser::LogSource;
use serde::Deserialize;
use serde_json::Value;

/// `events`: one JSON object a line. `routes`: for each line the number of its log source in `sources`, a JSON list of
/// objects with product, category and service. `rules`: folders. `share`: (i, n) = every n-th line from the i-th.
/// `wait`: say "ready" when loaded and begin when a line comes in. `correlate`: time correlation alone.
#[derive(Deserialize)]
pub struct Job {
    pub events: PathBuf,
    pub routes: PathBuf,
    pub sources: PathBuf,
    pub rules: Vec<PathBuf>,
    pub passes: usize,
    pub share: (usize, usize),
    pub wait: bool,
    pub correlate: bool,
    pub options: Options,
}

/// Choices that the library offers. `routed`: an engine for each log source, with the rules that apply to it alone;
/// else one engine that is told the event's log source. `bloom_bytes`: its Bloom filter, 0 = off. `automaton`: its
/// automaton across rules.
#[derive(Deserialize, Default)]
#[serde(default)]
pub struct Options {
    pub routed: bool,
    pub bloom_bytes: usize,
    pub automaton: bool,
}

impl Job {
    pub fn sources(&self) -> Vec<LogSource> {
        let text = fs::read_to_string(&self.sources).expect("sources");
        let listed: Vec<BTreeMap<String, String>> = serde_json::from_str(&text).expect("JSON");
        listed
            .into_iter()
            .map(|mut one| LogSource {
                category: one.remove("category"),
                product: one.remove("product"),
                service: one.remove("service"),
                ..Default::default()
            })
            .collect()
    }

    pub fn routes(&self) -> Vec<usize> {
        let text = fs::read_to_string(&self.routes).expect("routes");
        text.lines().map(|line| line.parse().expect("a number")).collect()
    }

    /// (number, line) of this share.
    pub fn lines<'a>(&self, text: &'a [u8]) -> Vec<(usize, &'a [u8])> {
        let (first, step) = self.share;
        let all = text.split(|&byte| byte == b'\n').filter(|line| !line.is_empty());
        all.enumerate().skip(first).step_by(step).collect()
    }

    pub fn ready(&self) {
        if self.wait {
            println!("ready");
            io::stdin().read_line(&mut String::new()).expect("a line");
        }
    }
}

#[cfg(not(feature = "tuned"))]
pub fn parsed(line: &[u8]) -> Value {
    serde_json::from_slice(line).expect("JSON")
}

#[cfg(feature = "tuned")]
pub fn parsed(line: &[u8]) -> Value {
    sonic_rs::from_slice(line).expect("JSON")
}

/// Most memory that the process ever had, MB.
pub fn peak_mb() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmHWM")).unwrap_or("VmHWM: 0 kB");
    line.split_whitespace().nth(1).and_then(|kb| kb.parse::<u64>().ok()).unwrap_or(0) / 1024
}
