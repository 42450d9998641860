//! An engine in a folder of its own, opened as a trial opens it.

use aura_engine::env::disk::DiskWorld;
use aura_experiments::config::{self, Experiment, Size};
use aura_experiments::trial::{Opening, Target};
use aura_rivals::TARGETS;

/// Memory so small that a few thousand writes are flushed and compacted.
pub(crate) const SETTINGS: &str = "\
memtable = \"64KiB\"
cache.size = \"256KiB\"
table = { size = \"64KiB\", block = \"1KiB\" }
";

/// These settings, with values of 512 B or more kept apart.
pub(crate) fn separated() -> String {
    let apart =
        "value_log = { separation = { policy = \"threshold\", bytes = 512 }, file = \"64KiB\" }\n";
    format!("{SETTINGS}{apart}")
}

/// Reads a config of this crate's command, with settings below `engine`.
pub(crate) fn experiment(target: &str, head: &str, engine: &str) -> Experiment {
    let text = format!("target = {target:?}\nseeds = 1\n{head}\n[engine]\n{engine}");
    let known = TARGETS.known();
    config::parse_for("test.toml".as_ref(), text, &[], Size::default(), &known).expect("a config")
}

/// Opens a target with settings below `engine`, and has a law judge it.
pub(crate) fn on<T: Target, F: Future<Output = ()>>(
    target: &str,
    engine: &str,
    law: impl FnOnce(T) -> F,
) {
    let experiment = experiment(target, "world = { kind = \"real\", cores = 4 }", engine);
    let config = &experiment.cases[0].config;
    let folder = tempfile::tempdir().expect("a folder");
    let world = DiskWorld::new(2).expect("threads");
    let opening = Opening {
        env: world.env(),
        directory: folder.path(),
        config,
        settings: config.engine.clone(),
        observer: None,
        watched: false,
        sides: None,
    };
    world.block_on(async {
        law(T::open(opening).await.expect("it opens")).await;
    });
}
