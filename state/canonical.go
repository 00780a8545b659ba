package state

import (
	"bufio"
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"
)

// A plan's canonical form is lines of JSON: a canonicalPlan, then for each node a canonicalNode and its canonicalChanges. It
// is what is done to which host, and nothing of when, where and by whom the plan was made. What the configuration was is
// in its digest, so that variables and unchanged objects need not be here.
type canonicalPlan struct {
	Version   int               `json:"version"`
	Host      string            `json:"host"`
	Config    string            `json:"config"`
	OnFailure string            `json:"on_failure,omitempty"`
	Rollback  string            `json:"rollback,omitempty"`
	Triggers  []Triggering      `json:"triggers,omitempty"`
	Skipped   []canonicalSkip   `json:"skipped,omitempty"`
	Outputs   []canonicalOutput `json:"outputs,omitempty"`
}

type canonicalSkip struct {
	Node   NodeAddr `json:"node"`
	Reason string   `json:"reason"`
}

type canonicalOutput struct {
	Name  string          `json:"name"`
	Value json.RawMessage `json:"value"`
}

type canonicalNode struct {
	Node      NodeAddr   `json:"node"`
	DependsOn []NodeAddr `json:"depends_on,omitempty"`
	After     []NodeAddr `json:"after,omitempty"`
	Delete    bool       `json:"delete,omitempty"`
	TakesBack string     `json:"takes_back,omitempty"`
	Disturbs  []string   `json:"disturbs,omitempty"`
	Verify    []Check    `json:"verify,omitempty"`
	Health    []Check    `json:"health,omitempty"`
	Protected bool       `json:"protected,omitempty"`
	Back      *Back      `json:"back,omitempty"`
}

type canonicalChange struct {
	Object    string   `json:"object"` // the address within the node
	Action    Action   `json:"action,omitempty"`
	Cause     Cause    `json:"cause,omitempty"`
	Before    any      `json:"before,omitempty"`
	After     any      `json:"after,omitempty"`
	Made      any      `json:"made,omitempty"`
	MadeAt    *Addr    `json:"made_at,omitempty"`
	HandsTo   *Addr    `json:"hands_to,omitempty"`
	Sensitive []string `json:"sensitive,omitempty"`
	Note      string   `json:"note,omitempty"`
	Trigger   Trigger  `json:"trigger,omitempty"`
}

// Canonical is the plan in the form that its digest is made of, lines of JSON: equal plans have equal bytes, wherever the
// configuration's directory is and whenever they were made. Secrets are in it as fingerprints under key; without a key
// it does not tell one value of a secret from another.
func (p *Plan) Canonical(key []byte) ([]byte, error) {
	var b bytes.Buffer
	if err := p.canonical(&b, key); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

// Digest is sha256:… over the canonical form. It is computed once: a plan whose digest has been asked for is not changed.
func (p *Plan) Digest(key []byte) (string, error) {
	if p.digest != "" && bytes.Equal(p.digestKey, key) {
		return p.digest, nil
	}
	sum := sha256.New()
	w := bufio.NewWriterSize(sum, 64<<10)
	if err := p.canonical(w, key); err != nil {
		return "", err
	}
	if err := w.Flush(); err != nil {
		return "", err
	}
	p.digest, p.digestKey = "sha256:"+hex.EncodeToString(sum.Sum(nil)), key
	return p.digest, nil
}

// Stamp gives the plan the digest, without a key, of the plan that it was before what is secret in it was masked.
func (p *Plan) Stamp(digest string) { p.digest, p.digestKey = digest, nil }

// canonical writes line by line, so that the digest of a large plan needs little memory.
func (p *Plan) canonical(w io.Writer, key []byte) error {
	head := canonicalPlan{Version: 1, Host: p.Host, Config: p.Config, OnFailure: p.OnFailure, Rollback: p.Rollback, Triggers: p.Triggers}
	for _, s := range p.Skipped {
		head.Skipped = append(head.Skipped, canonicalSkip{s.Addr, s.Reason})
	}
	slices.SortFunc(head.Skipped, func(a, b canonicalSkip) int { return a.Node.Compare(b.Node) })
	for _, o := range p.Outputs {
		value, err := MaskedValue(o.Value, o.Sensitive, key)
		if err != nil {
			return fmt.Errorf("cannot write down the output %s: %w", o.Name, err)
		}
		head.Outputs = append(head.Outputs, canonicalOutput{o.Name, value})
	}
	slices.SortFunc(head.Outputs, func(a, b canonicalOutput) int { return cmp.Compare(a.Name, b.Name) })
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	if err := e.Encode(head); err != nil {
		return err
	}
	for _, n := range p.Nodes {
		if err := e.Encode(n.canonical()); err != nil {
			return err
		}
		for i := range n.Changes {
			c, err := n.Changes[i].canonical(key)
			if err == nil {
				err = e.Encode(&c)
			}
			if err != nil {
				return fmt.Errorf("cannot write down the change of %s: %w", n.Changes[i].Addr, err)
			}
		}
	}
	return nil
}

func (n *NodePlan) canonical() canonicalNode {
	return canonicalNode{
		Node: n.Addr, DependsOn: slices.SortedFunc(slices.Values(n.DependsOn), NodeAddr.Compare),
		After: slices.SortedFunc(slices.Values(n.After), NodeAddr.Compare), Delete: n.Delete, TakesBack: n.TakesBack,
		Disturbs: slices.Sorted(slices.Values(n.Disturbs)), Verify: n.Verify, Health: n.Health, Protected: n.Protected, Back: n.Back,
	}
}

func (c *Change) canonical(key []byte) (canonicalChange, error) {
	out := canonicalChange{
		Object: c.Addr.Local(), Action: c.Action(), Cause: c.Cause, Note: c.Note, Trigger: c.Trigger,
		Sensitive: slices.Sorted(slices.Values(c.Sensitive)),
	}
	if c.MadeAt != (Addr{}) {
		out.MadeAt = &c.MadeAt
	}
	if c.HandsTo != (Addr{}) {
		out.HandsTo = &c.HandsTo
	}
	var err error
	if out.Before, err = c.side(c.Before, key); err != nil {
		return out, err
	}
	if out.After, err = c.side(c.After, key); err != nil {
		return out, err
	}
	out.Made, err = c.side(c.Made, key)
	return out, err
}

// side is an object as it is written: itself when nothing in it is secret, which saves writing it twice.
func (c *Change) side(o Object, key []byte) (any, error) {
	if o == nil {
		return nil, nil
	}
	if len(c.Sensitive) == 0 {
		return o, nil
	}
	return MaskedObject(o, c.Sensitive, key)
}

// MaskedValue is a value in JSON with the members of its objects in order, or the Secret for it.
func MaskedValue(value []byte, sensitive bool, key []byte) (json.RawMessage, error) {
	if len(value) == 0 {
		return json.RawMessage("null"), nil
	}
	d := json.NewDecoder(bytes.NewReader(value))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		return nil, err
	}
	ordered, err := encode(v)
	if err != nil || !sensitive {
		return ordered, err
	}
	return encode(Mask(key, ordered))
}

// Relative is the range's file as seen from a configuration's directory. Of a file elsewhere it is the name only, so that
// it does not tell where on the machine that is.
func (r Range) Relative(dir string) string {
	if dir != "" {
		if rest, ok := strings.CutPrefix(r.File, strings.TrimSuffix(dir, "/")+"/"); ok {
			return rest
		}
	}
	if filepath.IsAbs(r.File) || strings.HasPrefix(r.File, "../") {
		return filepath.Base(r.File)
	}
	return r.File
}
