# Short names for common commands; each can be typed as well.

.PHONY: setup dev test ci bench benchmark benchmark-large benchmark-rivals profile

setup: ## fetch the dependencies, so that later commands work offline
	cargo fetch --locked

dev: ## type-check everything, tests and benchmarks included
	cargo check --workspace --all-targets

test: ## the README's test command
	cargo test --workspace

ci: ## the gate: format, lints, docs, one end-to-end run, tests
	bash .ci/run

bench: ## nanoseconds per operation: the paths of the engine, policies alone (criterion)
	cargo bench -p aura-engine -p aura-policies --bench '*'

benchmark: ## every shipped experiment, in simulation
	for config in experiments/configs/*.toml; do cargo run --release -- run "$$config" || exit 1; done

benchmark-large: ## YCSB on this machine's disk with 1 M records: real operations per second
	cargo run --release -- run experiments/configs/ycsb-core.toml --set world.kind=real \
		--set workload.records=1000000 --set workload.operations=1000000 --set workload.value.bytes=100

benchmark-rivals: ## RocksDB and fjall beside AuraDB, on this machine's disk (needs g++ and libclang)
	for config in experiments/rivals/configs/*.toml; do \
		cargo run --release --locked --manifest-path experiments/rivals/Cargo.toml -- run "$$config" || exit 1; \
	done

profile: ## what the time of a cached simulated get is spent on (needs Linux perf)
	cargo bench -p aura-engine --bench paths --no-run
	perf record -g -o target/perf.data \
		$$(ls -t target/release/deps/paths-* | grep -v '\.d$$' | head -1) --bench get/cached/simulated
	perf report -i target/perf.data
