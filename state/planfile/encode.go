package planfile

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/opdbus/opdbus/state"
)

// A document is a plan as it is written down. What a plan's readers need besides, the objects that stay as they are, is in
// the member plan.json only.
type document struct {
	Host      string             `json:"host"`
	Hostname  string             `json:"hostname,omitempty"`
	Config    string             `json:"config,omitempty"`
	Commit    string             `json:"commit,omitempty"`
	Dir       string             `json:"dir,omitempty"`
	OnFailure string             `json:"on_failure,omitempty"`
	Rollback  string             `json:"rollback,omitempty"`
	Triggers  []state.Triggering `json:"triggers,omitempty"`
	Run       int                `json:"run"`
	Unchanged int                `json:"unchanged"`
	Retention retention          `json:"retention"`
	Nodes     []node             `json:"nodes,omitempty"`
	Skipped   []skipped          `json:"skipped,omitempty"`
	Outputs   []output           `json:"outputs,omitempty"`
	Variables []variable         `json:"variables,omitempty"`
	Drifted   []change           `json:"drifted,omitempty"`
	Contents  int                `json:"contents,omitempty"` // how many content members there are
	Wanted    string             `json:"wanted,omitempty"`   // the digest of what the configuration came to
}

type retention struct {
	Keep       int      `json:"keep,omitempty"`
	KeepDays   int      `json:"keep_days,omitempty"`
	Subvolumes []string `json:"subvolumes,omitempty"`
}

type node struct {
	Addr      state.NodeAddr   `json:"address"`
	DependsOn []state.NodeAddr `json:"depends_on,omitempty"`
	After     []state.NodeAddr `json:"after,omitempty"`
	Delete    bool             `json:"delete,omitempty"`
	TakesBack string           `json:"takes_back,omitempty"`
	Disturbs  []string         `json:"disturbs,omitempty"`
	Endangers []string         `json:"endangers,omitempty"`
	Verify    []check          `json:"verify,omitempty"`
	Health    []check          `json:"health,omitempty"`
	Protected bool             `json:"protected,omitempty"`
	Source    *source          `json:"source,omitempty"`
	Back      *state.Back      `json:"back,omitempty"`
	Changes   []change         `json:"changes,omitempty"`
}

type change struct {
	Addr      state.Addr      `json:"address"`
	Before    json.RawMessage `json:"before,omitempty"`
	After     json.RawMessage `json:"after,omitempty"`
	Made      json.RawMessage `json:"made,omitempty"`
	MadeAt    *state.Addr     `json:"made_at,omitempty"`
	HandsTo   *state.Addr     `json:"hands_to,omitempty"`
	Cause     state.Cause     `json:"cause,omitempty"`
	Forget    bool            `json:"forget,omitempty"`
	Replace   bool            `json:"replace,omitempty"`
	Sensitive []string        `json:"sensitive,omitempty"`
	Note      string          `json:"note,omitempty"`
	Source    *source         `json:"source,omitempty"`
	Trigger   state.Trigger   `json:"trigger,omitempty"`
	By        []state.Addr    `json:"triggered_by,omitempty"`
	Content   int             `json:"content,omitempty"` // the number of the content member that After is made from
}

type check struct {
	state.Check
	Source *source `json:"source,omitempty"`
}

type skipped struct {
	Addr           state.NodeAddr `json:"address"`
	Reason         string         `json:"reason,omitempty"`
	Source         *source        `json:"source,omitempty"`
	PreventDestroy bool           `json:"prevent_destroy,omitempty"`
}

type output struct {
	Name        string          `json:"name"`
	Value       json.RawMessage `json:"value,omitempty"`
	Type        json.RawMessage `json:"type,omitempty"`
	Sensitive   bool            `json:"sensitive,omitempty"`
	Description string          `json:"description,omitempty"`
	Source      *source         `json:"source,omitempty"`
}

type variable struct {
	Name        string          `json:"name"`
	Value       json.RawMessage `json:"value,omitempty"`
	Sensitive   bool            `json:"sensitive,omitempty"`
	Description string          `json:"description,omitempty"`
}

type source struct {
	File      string `json:"file"`
	Line      int    `json:"line"`
	Column    int    `json:"column"`
	Byte      int    `json:"byte"`
	EndLine   int    `json:"end_line"`
	EndColumn int    `json:"end_column"`
	EndByte   int    `json:"end_byte"`
}

// encode writes a plan down. d has what is said besides; numbers has the content members by the digests of what they hold.
func encode(p *state.Plan, d document, numbers map[string]int) ([]byte, error) {
	d = document{
		Host: p.Host, Hostname: p.Hostname, Config: p.Config, Commit: p.Commit, Dir: p.Dir, OnFailure: p.OnFailure, Rollback: p.Rollback, Triggers: p.Triggers,
		Run: p.Run, Unchanged: p.Unchanged, Retention: retention(p.Retention), Contents: d.Contents, Wanted: d.Wanted,
	}
	var err error
	for _, n := range p.Nodes {
		out := node{Addr: n.Addr, DependsOn: n.DependsOn, After: n.After, Delete: n.Delete, TakesBack: n.TakesBack, Disturbs: n.Disturbs, Endangers: n.Endangers,
			Verify: encodeChecks(n.Verify), Health: encodeChecks(n.Health), Protected: n.Protected, Source: encodeSource(n.Source), Back: n.Back}
		if out.Changes, err = encodeChanges(n.Changes, numbers); err != nil {
			return nil, err
		}
		d.Nodes = append(d.Nodes, out)
	}
	if d.Drifted, err = encodeChanges(p.Drifted, nil); err != nil {
		return nil, err
	}
	for _, s := range p.Skipped {
		d.Skipped = append(d.Skipped, skipped{s.Addr, s.Reason, encodeSource(s.Source), s.PreventDestroy})
	}
	for _, o := range p.Outputs {
		d.Outputs = append(d.Outputs, output{o.Name, o.Value, o.Type, o.Sensitive, o.Description, encodeSource(o.Source)})
	}
	for _, v := range p.Variables {
		d.Variables = append(d.Variables, variable{v.Name, v.Value, v.Sensitive, v.Description})
	}
	return marshal(d)
}

func encodeChanges(changes []state.Change, numbers map[string]int) ([]change, error) {
	var out []change
	for _, c := range changes {
		e := change{Addr: c.Addr, Cause: c.Cause, Forget: c.Forget, Replace: c.Replace, Sensitive: c.Sensitive, Note: c.Note, Source: encodeSource(c.Source),
			Trigger: c.Trigger, By: c.TriggeredBy}
		if c.MadeAt != (state.Addr{}) {
			e.MadeAt = &c.MadeAt
		}
		if c.HandsTo != (state.Addr{}) {
			e.HandsTo = &c.HandsTo
		}
		for _, o := range []struct {
			object state.Object
			into   *json.RawMessage
		}{{c.Before, &e.Before}, {c.After, &e.After}, {c.Made, &e.Made}} {
			if o.object == nil {
				continue
			}
			var err error
			if *o.into, err = marshal(o.object); err != nil {
				return nil, fmt.Errorf("%s: %w", c.Addr, err)
			}
		}
		if s, ok := needs(c); ok {
			e.Content = numbers[s.Digest]
		}
		out = append(out, e)
	}
	return out, nil
}

// needs is the content that a change takes and that the thing which it changes does not have already.
func needs(c state.Change) (state.Source, bool) {
	after, ok := c.After.(state.Sourced)
	if !ok || c.Forget {
		return state.Source{}, false
	}
	s := after.Source()
	if before, ok := c.Before.(state.Sourced); ok && before.Source().Digest == s.Digest {
		return state.Source{}, false
	}
	return s, s.Digest != ""
}

func encodeChecks(checks []state.Check) []check {
	var out []check
	for _, c := range checks {
		out = append(out, check{c, encodeSource(c.Source)})
	}
	return out
}

func encodeSource(r state.Range) *source {
	if r == (state.Range{}) {
		return nil
	}
	s := source(r)
	return &s
}

// Wanted is a digest of what a prepared configuration comes to, the files that it deploys among it: its own digest is of what it
// says only. It is not to be shown, as whoever knows all but a secret could try what that is.
func Wanted(nodes []*state.Node) (string, error) {
	sum := sha256.New()
	e := json.NewEncoder(sum)
	for _, n := range nodes {
		for _, o := range n.Objects {
			if err := errors.Join(e.Encode(o.Addr), e.Encode(o.Object)); err != nil {
				return "", fmt.Errorf("%s: %w", o.Addr, err)
			}
		}
	}
	return "sha256:" + hex.EncodeToString(sum.Sum(nil)), nil
}

// marshal is json.Marshal that leaves <, > and & as they are, so that a value has the bytes that it had.
func marshal(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}
