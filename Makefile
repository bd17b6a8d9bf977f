# make demo    a caller and a callee talk through relayd, in front of you
# make test    everything that is tested, with its own set-up
# make run     relayd in the foreground with its embedded defaults
# make bench   what a relayed packet and a call cost, beside peers
# make build   relayd and relayctl, in .build/release
# make docs    the pages that are made from the code: docs/configuration.md and docs/metrics.md

.PHONY: demo test run bench build docs clean

RELEASE = .build/release

demo:
	@scripts/setup demo
	@scripts/phase "build (release)" swift build -c release --product relayd
	@scripts/phase "build the demo" swift build -c release --product relayd-demo
	@scripts/phase "build relayctl" swift build -c release --product relayctl
	@directory=$$(mktemp -d) && trap 'rm -rf "$$directory"' EXIT && trap 'exit 130' INT TERM && TMPDIR=$$directory $(RELEASE)/relayd-demo

test:
	@scripts/setup test
	@scripts/phase "build (tests)" swift build --build-tests
	@scripts/phase "unit and simulation tests" swift test --skip-build --disable-xctest --skip IntegrationTests
	@scripts/phase "integration tests" swift test --skip-build --disable-xctest --filter IntegrationTests
	@scripts/phase "benchmarks (do they run)" Benchmarks/run --quick
	@scripts/phase "SIP benchmark (does it run)" Benchmarks/run-sip --quick
	@scripts/phase "machine code of the loop" Benchmarks/check-machine-code.sh Benchmarks/.build/release/relay-host

run: build
	@exec $(RELEASE)/relayd

build:
	@scripts/setup build
	@scripts/phase "build (release)" swift build -c release --product relayd
	@scripts/phase "build relayctl" swift build -c release --product relayctl

bench:
	@scripts/setup bench
	@scripts/phase "build (release)" swift build -c release --product relayd
	@Benchmarks/run
	@Benchmarks/run-sip

docs:
	@swift run -q relayd reference --markdown > docs/configuration.md.new && mv docs/configuration.md.new docs/configuration.md
	@swift run -q relayd reference --metrics > docs/metrics.md.new && mv docs/metrics.md.new docs/metrics.md

clean:
	@rm -rf .build Benchmarks/.build bench.json bench-sip.json
