//! rsigma-peer EVENTS ROUTES SOURCES PASSES RULES… → figures as JSON.
//!
//! EVENTS: one JSON object a line. ROUTES: for each line the number of its log source in SOURCES, a JSON list of objects
//! with product, category and service. A pass parses every line and evaluates it with that log source; lines are in
//! memory before it begins, matches are counted by rule.

use std::{collections::BTreeMap, env, fs, path::Path, time::Instant};

use rsigma_eval::{Engine, JsonEvent};
use rsigma_parser::{LogSource, parse_sigma_directory};
use serde_json::{Value, json};

fn main() {
    let given: Vec<String> = env::args().skip(1).collect();
    let text = fs::read(&given[0]).expect("events");
    let lines: Vec<&[u8]> = text.split(|&byte| byte == b'\n').filter(|line| !line.is_empty()).collect();
    let routes: Vec<usize> = fs::read_to_string(&given[1])
        .expect("routes")
        .lines()
        .map(|line| line.parse().expect("a number"))
        .collect();
    let sources = sources(&fs::read_to_string(&given[2]).expect("sources"));
    let passes: usize = given[3].parse().expect("passes");

    let begin = Instant::now();
    let mut engine = Engine::new();
    let mut refused = 0;
    for folder in &given[4..] {
        let collection = parse_sigma_directory(Path::new(folder)).expect("rules");
        refused += collection.errors.len() + engine.add_rules(&collection.rules).len();
    }
    let load = begin.elapsed().as_secs_f64();

    let mut seconds = Vec::new();
    let mut matches: BTreeMap<String, u64> = BTreeMap::new();
    for pass in 0..passes {
        let begin = Instant::now();
        let mut found = Vec::new();
        for (line, &route) in lines.iter().zip(&routes) {
            let value: Value = serde_json::from_slice(line).expect("JSON");
            found.extend(engine.evaluate_with_logsource(&JsonEvent::borrow(&value), &sources[route]));
        }
        seconds.push(begin.elapsed().as_secs_f64());
        if pass == 0 {
            for one in found {
                *matches.entry(one.header.rule_id.unwrap_or(one.header.rule_title)).or_default() += 1;
            }
        }
    }
    println!(
        "{}",
        json!({
            "rules": engine.rule_count(), "refused": refused, "load_s": load, "passes_s": seconds,
            "events": lines.len(), "matches": matches, "rss_mb": peak_mb(),
        })
    );
}

fn sources(text: &str) -> Vec<LogSource> {
    let listed: Vec<BTreeMap<String, String>> = serde_json::from_str(text).expect("JSON");
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

fn peak_mb() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmHWM")).unwrap_or("VmHWM: 0 kB");
    line.split_whitespace().nth(1).and_then(|kb| kb.parse::<u64>().ok()).unwrap_or(0) / 1024
}
