//! A design that is printed and read again is the same design.

use std::time::Duration;

use crate::common::{read_in, without_places};
use ailtire_compose::{Condition, FileObject, Port, Route, StackDesign, to_yaml};
use proptest::prelude::*;

const EVERY_KEY: &str = include_str!("../data/every-key.yaml");

/// Puts `words` and `numbers` wherever a design takes any.
fn change(design: &mut StackDesign, words: &[String], numbers: &[u32], leave_out: u64) {
    let word = |index: usize| words[index % words.len()].clone();
    let number = |index: usize| numbers[index % numbers.len()];
    let small = |index: usize| (number(index) & 0xffff).try_into().unwrap_or(u16::MAX);
    let time = |index| Some(Duration::from_nanos(u64::from(number(index)) * 1_000_003));
    let is_left_out = |bit: u32| leave_out >> bit & 1 == 1;
    let web = design.services.get_mut("web").unwrap();
    web.command = Some(words.to_vec());
    web.entrypoint = (!is_left_out(0)).then(|| vec![word(1), word(2)]);
    web.environment.insert("WORD".to_owned(), Some(word(3)));
    web.labels.insert("word".to_owned(), word(4));
    web.sysctls.insert("word".to_owned(), word(5));
    web.user = (!is_left_out(1)).then(|| word(6));
    web.init = (!is_left_out(2)).then_some(is_left_out(3));
    web.tty = is_left_out(4);
    web.stop_grace_period = time(0).filter(|_| !is_left_out(5));
    if let Some(check) = &mut web.healthcheck {
        check.interval = time(1);
        check.start_interval = time(2).filter(|_| is_left_out(6));
        check.retries = Some(u64::from(number(3)) << 32);
        check.test = vec!["CMD-SHELL".to_owned(), format!("x{}", word(7))];
    }
    if let Some(update) = &mut web.deploy.update_config {
        update.delay = time(4);
        update.max_failure_ratio = Some(f32::from(small(5)) / f32::from(u16::MAX));
    }
    if is_left_out(7) {
        web.deploy.resources = None;
        web.networks.clear();
        web.networks.insert("default".to_owned(), ailtire_compose::Attachment::default());
    } else if let Some(dependency) = web.depends_on.get_mut("db") {
        dependency.condition = Condition::ServiceHealthy;
    }
    if is_left_out(8) {
        web.deploy = ailtire_compose::Deploy::default();
        web.healthcheck = None;
        web.volumes.clear();
    }
    let content = format!("x{}", word(8));
    let config = FileObject {
        data: Some(content.clone().into_bytes()),
        content: Some(content),
        ..FileObject::default()
    };
    design.configs.insert("inline".to_owned(), config);
    if is_left_out(9) {
        let target = small(9) | 1;
        let port = Port {
            mode: "host".to_owned(),
            target,
            published: Some(target),
            protocol: "udp".to_owned(),
        };
        design.services.get_mut("db").unwrap().ports = vec![port];
        let route = Route {
            prefix: format!("/{}", word(10)),
            service: "web".to_owned(),
            path: word(11),
            port: target,
            protocol: "http".to_owned(),
            timeout: time(6),
            retries: Some(number(7)),
        };
        design.routes = vec![route];
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_printed_reads_the_same(
        words in prop::collection::vec(any::<String>(), 1..12),
        numbers in prop::collection::vec(any::<u32>(), 1..12),
        leave_out in any::<u64>(),
    ) {
        let root = tempfile::tempdir().unwrap();
        let stack = "image: redis\n    x-ailtire-stack: true";
        let text = if leave_out >> 10 & 1 == 1 {
            EVERY_KEY.replace("image: redis", stack)
        } else {
            EVERY_KEY.to_owned()
        };
        let mut design = read_in(root.path(), &text).design.unwrap();
        change(&mut design, &words, &numbers, leave_out);
        let text = to_yaml(&design);
        let read = read_in(root.path(), &text);
        let again = read.design.unwrap_or_else(|| panic!("{text}\n{:#?}", read.diagnostics));
        prop_assert_eq!(without_places(again), without_places(design), "{}", text);
    }
}
