//! Rules over events: a pass parses every line and evaluates it with its log source; lines are in memory before.
//! The clock stands still while the matches of the first pass are written down.

use std::{collections::BTreeMap, fs, hint::black_box, time::Duration, time::Instant};

use rsigma_eval::{Engine, JsonEvent, compile_rule};
use rsigma_parser::{LogSource, SigmaRule, parse_sigma_directory};
use serde_json::{Value, json};

use crate::job::{Job, Options, parsed, peak_mb};

const BATCH: usize = 1_000;

pub fn run(job: &Job) -> Value {
    let text = fs::read(&job.events).expect("events");
    let (lines, routes, sources) = (job.lines(&text), job.routes(), job.sources());
    let begin = Instant::now();
    let (parsed_rules, mut refused) = rules(job);
    let engines = engines(&job.options, &parsed_rules, &sources);
    let load = begin.elapsed().as_secs_f64();
    let wrong = parsed_rules.iter().filter(|rule| compile_rule(rule).is_err()).count();
    let loaded = parsed_rules.len() - wrong;
    refused += wrong;
    drop(parsed_rules);
    job.ready();

    let mut seconds = Vec::new();
    let mut matches: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    for pass in 0..job.passes {
        let mut spent = Duration::ZERO;
        for batch in lines.chunks(BATCH) {
            let begin = Instant::now();
            let mut found = Vec::with_capacity(batch.len());
            for &(number, line) in batch {
                let route = routes[number];
                let value = parsed(line);
                let event = JsonEvent::borrow(&value);
                found.push(if job.options.routed {
                    engines[route].evaluate(&event)
                } else {
                    engines[0].evaluate_with_logsource(&event, &sources[route])
                });
            }
            spent += begin.elapsed();
            if pass == 0 {
                for (&(number, _), results) in batch.iter().zip(found) {
                    for one in results {
                        let rule = one.header.rule_id.unwrap_or(one.header.rule_title);
                        matches.entry(rule).or_default().push(number);
                    }
                }
            }
        }
        seconds.push(spent.as_secs_f64());
    }
    let begin = Instant::now();
    for (_, line) in &lines {
        black_box(parsed(line));
    }
    json!({
        "rules": loaded, "refused": refused, "load_s": load, "passes_s": seconds, "events": lines.len(),
        "matches": matches, "rss_mb": peak_mb(), "stages_s": {"parse": begin.elapsed().as_secs_f64()},
    })
}

/// The rules that parse, and how many files or documents do not.
fn rules(job: &Job) -> (Vec<SigmaRule>, usize) {
    let mut refused = 0;
    let mut rules = Vec::new();
    for folder in &job.rules {
        let collection = parse_sigma_directory(folder).expect("rules");
        refused += collection.errors.len();
        rules.extend(collection.rules);
    }
    (rules, refused)
}

/// One engine for all log sources or one for each.
fn engines(options: &Options, rules: &[SigmaRule], sources: &[LogSource]) -> Vec<Engine> {
    let made = |applying: Vec<&SigmaRule>| {
        let mut engine = Engine::new();
        engine.set_bloom_prefilter(options.bloom_bytes > 0);
        engine.set_bloom_max_bytes(options.bloom_bytes);
        engine.set_cross_rule_ac(options.automaton);
        engine.add_rules(applying); // those that do not compile are counted by the caller
        engine
    };
    if !options.routed {
        return vec![made(rules.iter().collect())];
    }
    sources.iter().map(|source| made(rules.iter().filter(|rule| applies(rule, source)).collect())).collect()
}

/// Each of product, category and service that the rule names is the event's.
fn applies(rule: &SigmaRule, source: &LogSource) -> bool {
    let wanted = &rule.logsource;
    let fits = |wanted: &Option<String>, has: &Option<String>| match (wanted, has) {
        (None, _) => true,
        (Some(wanted), Some(has)) => wanted.eq_ignore_ascii_case(has),
        (Some(_), None) => false,
    };
    fits(&wanted.product, &source.product)
        && fits(&wanted.category, &source.category)
        && fits(&wanted.service, &source.service)
}
