//! Correlation alone: detections are made before the clock starts, then fed in the order of the lines.
//! `matches`: rule → number of the line with which each group's correlation fired for the first time.

use std::{collections::BTreeMap, collections::HashSet, fs, time::Instant};

use rsigma_eval::{CorrelationConfig, CorrelationEngine, JsonEvent};
use rsigma_parser::parse_sigma_directory;
use serde_json::{Value, json};

use crate::job::{Job, parsed, peak_mb};

pub fn run(job: &Job) -> Value {
    let text = fs::read(&job.events).expect("events");
    let lines = job.lines(&text);
    let begin = Instant::now();
    let mut rules = 0;
    let mut made = || {
        let mut engine = CorrelationEngine::new(CorrelationConfig { emit_detections: false, ..Default::default() });
        for folder in &job.rules {
            engine.add_collection(&parse_sigma_directory(folder).expect("rules")).expect("rules");
        }
        rules = engine.detection_rule_count() + engine.correlation_rule_count();
        engine
    };
    let first = made();
    let load = begin.elapsed().as_secs_f64();
    let values: Vec<Value> = lines.iter().map(|(_, line)| parsed(line)).collect();
    let times: Vec<i64> = values.iter().map(|value| value["epoch"].as_i64().expect("seconds")).collect();
    let detections: Vec<_> = values.iter().map(|value| first.evaluate(&JsonEvent::borrow(value))).collect();
    job.ready();

    let mut seconds = Vec::new();
    let mut matches: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    let mut told = 0;
    for pass in 0..job.passes {
        let mut engine = made();
        let given = detections.clone();
        let mut found = Vec::new();
        let begin = Instant::now();
        for (at, one) in given.into_iter().enumerate() {
            let results = engine.process_with_detections(&JsonEvent::borrow(&values[at]), one, times[at]);
            found.extend(results.into_iter().filter(|one| one.is_correlation()).map(|result| (at, result)));
        }
        seconds.push(begin.elapsed().as_secs_f64());
        if pass == 0 {
            told = found.len();
            let mut seen = HashSet::new();
            for (at, result) in found {
                let group = result.as_correlation().map(|one| one.group_key.clone());
                let rule = result.header.rule_id.unwrap_or(result.header.rule_title);
                if seen.insert((rule.clone(), group)) {
                    matches.entry(rule).or_default().push(lines[at].0);
                }
            }
        }
    }
    json!({
        "rules": rules, "refused": 0, "load_s": load, "passes_s": seconds, "events": lines.len(), "matches": matches,
        "rss_mb": peak_mb(), "stages_s": {}, "told": told,
    })
}
