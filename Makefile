# make demo    a caller and a callee talk through relayd, in front of you
# make test    everything that is tested, with its own set-up; KERNEL_PATH=1: with RTP inside the kernel in every test
# make run     relayd in the foreground with its embedded defaults
# make sanitize  relay, ring and RTP tests under ThreadSanitizer and AddressSanitizer; minutes of building
# make fuzz    libFuzzer on everything that reads octets from anyone, SECONDS=30 for each target
# make bench   what a relayed packet and a call cost, beside peers and aims
# make build   relayd and relayctl, in .build/release
# make kernel-program  Sources/CKernelPath/program.h, from the C beside it
# make docs    the pages made from the code: docs/configuration.md, metrics.md, release-causes.md, vos3000.md

.PHONY: demo test sanitize fuzz run bench build kernel-program docs clean

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
	@scripts/phase "benchmark of trace and metrics (does it run)" Benchmarks/run-observe --quick
	@scripts/phase "the program inside the kernel is that of its source" scripts/kernel-program --check
	@scripts/phase "machine code of the loop" Benchmarks/check-machine-code.sh Benchmarks/.build/release/relay-host

# For the tests: every daemon of theirs has `media.kernel_path`.
export KERNEL_PATH

# Builds of their own, so that the others stay as they are. Of what was freed AddressSanitizer keeps 16 MB and not 256: one test
# looks at how much memory the process has.
SANITIZED = 'RelayTests|UringTests|RTPTests'

sanitize:
	@scripts/setup test
	@scripts/phase "build (ThreadSanitizer)" swift build --build-tests --sanitize=thread --scratch-path .build-tsan
	@scripts/phase "tests (ThreadSanitizer)" env TSAN_OPTIONS=halt_on_error=1 \
		swift test --skip-build --sanitize=thread --scratch-path .build-tsan --disable-xctest --filter $(SANITIZED)
	@scripts/phase "build (AddressSanitizer)" swift build --build-tests --sanitize=address --scratch-path .build-asan
	@scripts/phase "tests (AddressSanitizer)" env ASAN_OPTIONS=detect_leaks=0:quarantine_size_mb=16 \
		swift test --skip-build --sanitize=address --scratch-path .build-asan --disable-xctest --filter $(SANITIZED)

SECONDS = 30

fuzz:
	@scripts/setup build
	@scripts/phase "build (fuzzing)" scripts/fuzz --build
	@scripts/fuzz $(SECONDS)

run: build
	@exec $(RELEASE)/relayd

build:
	@scripts/setup build
	@scripts/phase "build (release)" swift build -c release --product relayd
	@scripts/phase "build relayctl" swift build -c release --product relayctl

bench: build
	@scripts/setup bench
	@Benchmarks/run
	@scripts/phase "build the parser's benchmark" swift build -c release --product relayd-parse-cost
	@Benchmarks/run-sip
	@scripts/phase "build the trace's benchmark" swift build -c release --product relayd-trace-cost
	@Benchmarks/run-observe

kernel-program:
	@scripts/setup build
	@scripts/kernel-program

docs:
	@swift run -q relayd reference --markdown > docs/configuration.md.new && mv docs/configuration.md.new docs/configuration.md
	@swift run -q relayd reference --causes > docs/release-causes.md.new && mv docs/release-causes.md.new docs/release-causes.md
	@swift run -q relayd reference --vos > docs/vos3000.md.new && mv docs/vos3000.md.new docs/vos3000.md
	@swift run -q relayd reference --metrics > docs/metrics.md.new && mv docs/metrics.md.new docs/metrics.md

clean:
	@rm -rf .build .build-tsan .build-asan Benchmarks/.build bench.json bench-sip.json
