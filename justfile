# Everything one does with this repository. `./justw` gets just where it is missing and passes its arguments on.

set shell := ["bash", "-euo", "pipefail", "-c"]

# 1.2.0 at a release, 1.2.0+3-gabc1234 after it, dev-abc1234 before the first: what required_version can be held against
version := `git describe --tags --match 'v*' 2>/dev/null | sed 's/^v//; s/-\([0-9]*-g[0-9a-f]*\)$/+\1/' | grep . || echo "dev-$(git rev-parse --short HEAD 2>/dev/null || echo unknown)"`
staticcheck := "go tool -modfile=.ci/tools.mod staticcheck"

# list the recipes
default:
    @'{{ just_executable() }}' --list --unsorted --justfile '{{ justfile() }}'

# build bin/opdbus: one static file, so that it runs on any Linux of this architecture
build: (need "build")
    CGO_ENABLED=1 go build -trimpath -tags 'osusergo netgo' -ldflags '-s -w -extldflags=-static -X main.version={{ version }}' -o bin/opdbus .

# everything: install what is missing, check, run all tests
test: (need "test") check
    go test -race -timeout 60m ./reconciler/cli ./... # what takes longest begins first
    CGO_ENABLED=0 go test -timeout 5m ./state/snapshot/...

# format, vet, lint; changes nothing
check: (need "build")
    @test -z "$(gofmt -s -l .)" || { echo "not formatted (just fmt mends it):"; gofmt -s -l .; exit 1; }
    go vet ./...
    CGO_ENABLED=0 go vet ./state/snapshot/... .
    {{ staticcheck }} ./...
    go mod verify
    go mod tidy -diff

# format the code in place
fmt:
    gofmt -s -w .
    go mod tidy

# write the golden files anew, from what the code does now; look at the difference before committing it
golden: (need "test")
    ./.ci/golden

# run the benchmarks, which print ratios to a plain loop doing the same
bench pattern='.': (need "test")
    go test -run '^$' -bench '{{ pattern }}' -timeout 60m ./reconciler/bench

# plan and apply examples/staging-guide into a scratch root with a real btrfs store, and clean up
demo: (need "demo") build
    ./examples/demo.sh

# run every fuzz test, each for this long
fuzz time='30s': (need "build")
    #!/usr/bin/env bash
    set -euo pipefail
    grep -rlE '^func Fuzz' --include='*_test.go' . | xargs -rn1 dirname | sort -u | while read -r dir; do
        sed -nE 's/^func (Fuzz[A-Za-z0-9_]*)\(.*/\1/p' "$dir"/*_test.go | while read -r name; do
            echo "== $dir $name"
            go test -run '^$' -fuzz "^$name\$" -fuzztime '{{ time }}' "$dir" </dev/null
        done
    done

[private]
need what:
    @./.ci/need {{ what }}
