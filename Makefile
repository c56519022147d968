# A thin wrapper over CMake. `make demo` and `make test` are all a newcomer needs.
BUILD ?= build
JOBS ?= $(shell nproc 2>/dev/null || echo 2)
PREFIX ?= /usr/local
CMAKE ?= cmake
export PATH := $(PATH):/usr/local/sbin:/usr/sbin:/sbin
# a second LLVM is tested too where the system has one
SECOND_LLVM = $(firstword $(filter-out $(FIRST_LLVM),$(foreach v,22 21 20 19,$(if $(wildcard /usr/lib/llvm-$(v)/lib/cmake/llvm),$(v)))))
FIRST_LLVM = $(firstword $(foreach v,22 21 20 19,$(if $(wildcard /usr/lib/llvm-$(v)/lib/cmake/llvm),$(v))))
configure = $(CMAKE) -S . -B $(1) -DCMAKE_BUILD_TYPE=$(2) $(3) > $(1)/configure.log 2>&1 || { cat $(1)/configure.log; exit 1; }

.PHONY: all build deps test-deps demo test install clean
all: build

build: deps
	@mkdir -p $(BUILD)
	@$(call configure,$(BUILD),Release)
	@$(CMAKE) --build $(BUILD) -j $(JOBS)

deps:
	@scripts/deps.sh
test-deps:
	@scripts/deps.sh test

demo: build
	@examples/demo/run.sh $(BUILD)

test: test-deps build
	@cd $(BUILD) && ctest --output-on-failure

install: build
	@$(CMAKE) --install $(BUILD) --prefix $(PREFIX)

clean:
	rm -rf $(BUILD)
