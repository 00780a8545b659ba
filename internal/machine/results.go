package machine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strings"
	"testing"
)

// A result is what became of a test.
type result struct {
	name    string // below the test that it is a part of
	outcome string // pass, fail or skip; empty when it has not ended
	said    strings.Builder
	parts   []*result
}

// results are those of the tests that printed output with -test.v=test2json, and what was not printed by any of them.
func results(ctx context.Context, output string) (tests []*result, rest string, err error) {
	cmd := exec.CommandContext(ctx, "go", "tool", "test2json")
	cmd.Stdin = strings.NewReader(output)
	var failure strings.Builder
	cmd.Stderr = &failure
	events, err := cmd.Output()
	if err != nil {
		return nil, "", fmt.Errorf("go tool test2json: %w: %s", err, failure.String())
	}
	all, top := map[string]*result{}, &result{}
	for in := json.NewDecoder(strings.NewReader(string(events))); ; {
		var event struct{ Action, Test, Output string }
		if err := in.Decode(&event); errors.Is(err, io.EOF) {
			return top.parts, top.said.String(), nil
		} else if err != nil {
			return nil, "", fmt.Errorf("go tool test2json: %w", err)
		}
		of := top
		if event.Test != "" {
			if all[event.Test] == nil {
				all[event.Test] = top.add(all, event.Test)
			}
			of = all[event.Test]
		}
		switch event.Action {
		case "pass", "fail", "skip":
			of.outcome = event.Action
		case "output":
			if line := strings.TrimSpace(event.Output); !strings.HasPrefix(line, "=== ") && !strings.HasPrefix(line, "--- ") {
				of.said.WriteString(event.Output)
			}
		}
	}
}

// add adds a test to the one that it is a part of. What follows a slash need not be a part: a name may have one too.
func (r *result) add(all map[string]*result, name string) *result {
	of, below := r, name
	for i := range name {
		if name[i] == '/' && all[name[:i]] != nil {
			of, below = all[name[:i]], name[i+1:]
		}
	}
	part := &result{name: below}
	of.parts = append(of.parts, part)
	return part
}

// tell has t fail where the test failed.
func (r *result) tell(t *testing.T) {
	t.Run(r.name, func(t *testing.T) {
		for _, part := range r.parts {
			part.tell(t)
		}
		if said := r.said.String(); said != "" {
			t.Log("\n" + strings.TrimRight(said, "\n"))
		}
		switch r.outcome {
		case "pass":
		case "skip":
			t.SkipNow()
		case "fail":
			t.Fail()
		default:
			t.Error("it has not ended")
		}
	})
}
