GO    ?= go
COUNT ?= 6
TIME  ?= 1m

# The captures that make run replays: real clients in a DMZ over TCP and in SMB
# pipes, and activations.
EXAMPLE := real-dig-vlmcs.pcap real-rpcclient-anonymous.pcap real-smb2-null-session.pcap kms-zone-climb-many.pcap

export CGO_ENABLED ?= 0

.DEFAULT_GOAL := help

##@ Use

.PHONY: run
run: bin/kmswatch ## Build, replay a capture of the repo and print its alerts
	bin/kmswatch replay --config deploy/example/lab.yaml $(addprefix decode/testdata/captures/,$(EXAMPLE))

.PHONY: build
build: bin/kmswatch bin/trafficgen ## Build the binaries into bin/

.PHONY: bin/kmswatch bin/trafficgen
bin/kmswatch bin/trafficgen:
	$(GO) build -trimpath -o $@ ./cmd/$(@F)

.PHONY: dist
dist: dist/bin/kmswatch.exe ## Build the binary for Windows into dist/bin/

.PHONY: dist/bin/kmswatch.exe
dist/bin/kmswatch.exe:
	GOOS=windows GOARCH=amd64 CGO_ENABLED=0 $(GO) build -trimpath -o $@ ./cmd/kmswatch

##@ Develop

.PHONY: test
test: ## Run every test, race detector on
	.ci/test

.PHONY: kafka
kafka: ## Fetch the Kafka brokers that tests run, once, into the cache
	.ci/kafka

.PHONY: lab
lab: bin/kmswatch ## Watch a domain, a DMZ and real clients live, in namespaces (as root)
	deploy/lab/live.sh bin/kmswatch

.PHONY: chaos
chaos: ## Kill sensor and broker, cut the network, fill the disk: the long form of that test (as root)
	KMSWATCH_CHAOS=long $(GO) test -pgo=off ./cmd/kmswatch -run TestChaos -v -timeout 20m

.PHONY: test-windows
test-windows: ## Run the tests for Windows, and replay next to Linux, under Wine
	.ci/wine

.PHONY: lint
lint: ## gofmt, go vet, staticcheck, also for Windows
	@test -z "$$(gofmt -l .)" || { gofmt -l .; echo "gofmt would change these: run make fmt"; exit 1; }
	$(GO) vet ./...
	GOOS=windows $(GO) vet ./...
	$(GO) tool staticcheck ./...
	GOOS=windows $$($(GO) tool -n staticcheck) -tests=false ./...

.PHONY: fmt
fmt: ## Format the Go code
	gofmt -w .

.PHONY: bench
bench: ## Benchmarks, and replay next to tshark and tcpdump (COUNT=6)
	.ci/bench $(COUNT)

.PHONY: fuzz
fuzz: ## Run every fuzz target for TIME=1m
	.ci/fuzz $(TIME)

.PHONY: generate
generate: ## Make the generated files anew
	$(GO) generate ./...

.PHONY: profile
profile: ## Take the profile that the compiler lays the code out by
	$(GO) test -trimpath -run '^$$' -bench Replay -benchtime 10s -cpu 1 -cpuprofile cmd/kmswatch/default.pgo -o bin/kmswatch.test ./cmd/kmswatch

.PHONY: golden
golden: ## Rewrite the golden files of failing cases; review the diff
	$(GO) test ./decode ./alerts/ocsf ./alerts/rules ./cmd/kmswatch -run 'Golden|Scripts' -update

.PHONY: clean
clean: ## Remove what was built
	rm -rf bin dist

.PHONY: help
help: ## Show this help
	@awk 'BEGIN {FS = ":.*## "} /^##@/ {printf "\n%s\n", substr($$0, 5)} /^[a-zA-Z\/_-]+:.*## / {printf "  %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
