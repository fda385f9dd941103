# What a fresh Debian 12 with Swift 6.3 needs, and how to build, try, test and measure.

libraries := libbpf-dev libelf-dev libcap-dev zlib1g-dev
tools     := iproute2 iptables nftables bpftool iputils-ping ethtool procps util-linux curl
packages   = $(libraries) $(tools)

# Building never needs root. Namespaces and BPF do; sudo would otherwise lose PATH, where swift is.
as_root := $(if $(filter 0,$(shell id -u)),,sudo --preserve-env=MARTLET_REQUIRE_KERNEL env "PATH=$$PATH")

.PHONY: demo test bench format lint packages bpffs

demo: packages bpffs
	@echo "Building martlet (the first time takes a few minutes)"
	swift build --product martlet
	$(as_root) .build/debug/martlet demo

test: packages bpffs
	@echo "Building the tests (the first time takes several minutes)"
	swift build --build-tests
	@echo "Testing, one test at a time: many of them measure time, and fill the processors by themselves"
	ulimit -n $$(ulimit -H -n); $(as_root) swift test --skip-build --no-parallel

bench: packages bpffs
	@echo "Building the measurements, optimised (the first time takes several minutes)"
	swift build --package-path Benchmarks -c release
	$(as_root) Benchmarks/.build/release/measure

format:
	swift format --in-place --recursive Sources Tests Examples Plugins Benchmarks/Sources Package.swift
	git ls-files '*.c' '*.h' | xargs clang-format -i

lint: packages += clang-format
lint: packages
	swift format lint --strict --recursive Sources Tests Examples Plugins Benchmarks/Sources Package.swift
	git ls-files '*.c' '*.h' | xargs clang-format --dry-run -Werror

# Installs what is missing, and asks for no privilege if nothing is.
packages:
	@missing=$$(for package in $(packages); do \
	  dpkg-query --show --showformat='$${Status}' $$package 2>/dev/null | grep -q ' installed$$' || echo $$package; \
	done); \
	if [ -z "$$missing" ]; then exit; fi; \
	if ! command -v apt-get >/dev/null; then \
	  echo "Assuming that these are there, by the names that your distribution has for them:" $(packages); exit; fi; \
	echo "Installing" $$missing; \
	$(as_root) apt-get update --quiet=2 && \
	$(as_root) env DEBIAN_FRONTEND=noninteractive apt-get install --quiet=2 --yes --no-install-recommends $$missing

bpffs:
	@mountpoint --quiet /sys/fs/bpf || { echo "Mounting a bpf file system at /sys/fs/bpf"; \
	  $(as_root) mount --types bpf bpf /sys/fs/bpf; }
