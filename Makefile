# What a person or CI runs. Everything sets up first; `make setup` alone does only that.
.PHONY: help setup build test demo protos protos-check lint examples bench-echo bench-serve bench-overload bench-pages bench-orders bench-queries \
  bench-predecessor fuzz tsan check-long clean
.DEFAULT_GOAL := build

SWIFT_BUILD := swift build -c release
CACHE := $(or $(ORDERWIRE_CACHE),$(or $(XDG_CACHE_HOME),$(HOME)/.cache)/orderwire)

setup:                    ## packages, Python tools, mongod, Chinook
	@scripts/setup

build: setup              ## the release build
	$(SWIFT_BUILD)

test: setup               ## all tests
	@scripts/test

demo: setup               ## a server, 3,503 products, 412 orders, their completions
	$(SWIFT_BUILD) --product orderwire
	$(SWIFT_BUILD) --product chinook-store
	@scripts/demo

protos: setup             ## regenerate what comes from protos/
	scripts/generate-protos

protos-check: setup       ## fails where protos/ and the committed code differ
	scripts/generate-protos --check

lint: setup               ## buf's rules for the API
	"$(CACHE)/venv/bin/buf" lint protos

examples: setup           ## packages that use the checkout as a library; those with a `check` are tried
	@set -e; for package in $(patsubst %/Package.swift,%,$(wildcard examples/*/Package.swift)); do \
	  swift build --package-path $$package; \
	  if [ -x $$package/check ]; then $$package/check; fi; done

bench-echo: setup         ## calls a second through the whole runtime, beside libzmq in C
	$(SWIFT_BUILD) --product bench-echo
	@$(MAKE) -s -C bench/peers/raw-echo
	@bench/echo/run

bench-serve: setup        ## what an idle server costs, and how soon it serves
	$(SWIFT_BUILD) --product orderwire
	@bench/serve/run

bench-overload: setup     ## what comes of up to ten times too many calls
	$(SWIFT_BUILD) --product bench-overload
	$(SWIFT_BUILD) --product orderwire
	@bench/overload/run

bench-pages: setup        ## ListProducts beside libmongoc in C: all different, the same, some popular
	$(SWIFT_BUILD) --product bench-pages
	$(SWIFT_BUILD) --product orderwire
	@$(MAKE) -s -C bench/peers/list-products
	@bench/pages/run

bench-orders: setup       ## orders accepted, settled and notified, beside libmongoc in C
	$(SWIFT_BUILD) --product bench-orders
	$(SWIFT_BUILD) --product orderwire
	@$(MAKE) -s -C bench/peers/orders
	@bench/orders/run

bench-queries: setup      ## every query shape at three sizes of the catalogue: keys, documents, time; the predecessor's beside it
	$(SWIFT_BUILD) --product bench-queries
	$(SWIFT_BUILD) --product orderwire
	@bench/queries/run

bench-predecessor: setup  ## pages a second, beside the service that this replaces
	$(SWIFT_BUILD) --product bench-queries
	$(SWIFT_BUILD) --product orderwire
	@bench/predecessor/run

fuzz: setup               ## libFuzzer on headers, TLVs, protobuf and ProtoJSON, SECONDS (20) each
	@fuzz/run $(or $(SECONDS),20)

tsan: setup               ## the runtime's tests under ThreadSanitizer
	@scripts/test-threads

check-long: setup tsan    ## the tests five times over with new random seeds, once in their long forms; TSan; more fuzzing
	@set -e; ORDERWIRE_LONG=1 scripts/test; for round in 2 3 4 5; do scripts/test; done
	@fuzz/run 150

clean:                    ## build folders; what was downloaded stays
	rm -rf .build examples/*/.build bench/peers/*/build

help:                     ## this list
	@sed -nE 's/^([a-z-]+):.*## (.*)/\1\t\2/p' Makefile | expand -t 20
