package state

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// A Secret is what is printed and hashed in place of a secret value.
type Secret struct {
	Sensitive bool `json:"sensitive"` // always true
	// Fingerprint is hmac-sha256:… under a key of the host's, so that readers see whether two secrets are equal and
	// cannot guess what they are; empty without a key.
	Fingerprint string `json:"fingerprint,omitempty"`
}

// Mask makes the Secret for a value in JSON.
func Mask(key, value []byte) Secret {
	s := Secret{Sensitive: true}
	if len(key) > 0 {
		mac := hmac.New(sha256.New, key)
		mac.Write(value)
		s.Fingerprint = "hmac-sha256:" + hex.EncodeToString(mac.Sum(nil))
	}
	return s
}

// An Attribute is one member of an object's JSON. The value of a sensitive one is a Secret.
type Attribute struct {
	Name      string
	Value     json.RawMessage
	Sensitive bool
}

// Attributes are an object's attributes in the order of its fields, those that sensitive names masked. It has none for nil.
func Attributes(o Object, sensitive []string, key []byte) ([]Attribute, error) {
	attrs, err := attributes(o)
	if err != nil {
		return nil, err
	}
	return attrs, mask(attrs, sensitive, key)
}

// A Difference is an attribute on both sides of a change; nil where the side does not have it. Values of a sensitive one
// are Secrets on both sides.
type Difference struct {
	Name          string
	Before, After json.RawMessage
	Sensitive     bool
}

// Differences are the attributes that a change changes. Those of a sensitive attribute are found before they are masked,
// so that a change of a secret is one without a key, too.
func (c Change) Differences(key []byte) ([]Difference, error) {
	before, err := attributes(c.Before)
	if err != nil {
		return nil, err
	}
	after, err := attributes(c.After)
	if err != nil {
		return nil, err
	}
	var ds []Difference
	for _, a := range before {
		i := slices.IndexFunc(after, func(b Attribute) bool { return b.Name == a.Name })
		switch {
		case i < 0:
			ds = append(ds, Difference{Name: a.Name, Before: a.Value})
		case !bytes.Equal(a.Value, after[i].Value):
			ds = append(ds, Difference{Name: a.Name, Before: a.Value, After: after[i].Value})
		}
	}
	for _, a := range after {
		if !slices.ContainsFunc(before, func(b Attribute) bool { return b.Name == a.Name }) {
			ds = append(ds, Difference{Name: a.Name, After: a.Value})
		}
	}
	for i, d := range ds {
		if !secret(d.Name, c.Sensitive) {
			continue
		}
		ds[i].Sensitive = true
		if ds[i].Before, err = maskRaw(key, d.Before); err != nil {
			return nil, err
		}
		if ds[i].After, err = maskRaw(key, d.After); err != nil {
			return nil, err
		}
	}
	return ds, nil
}

// Masked is what the change goes from and to as JSON, with Secrets for what is sensitive; null for nil.
func (c Change) Masked(key []byte) (before, after json.RawMessage, err error) {
	if before, err = MaskedObject(c.Before, c.Sensitive, key); err != nil {
		return nil, nil, err
	}
	after, err = MaskedObject(c.After, c.Sensitive, key)
	return before, after, err
}

// MaskedObject is an object as JSON, with Secrets for the attributes that sensitive names; null for nil.
func MaskedObject(o Object, sensitive []string, key []byte) (json.RawMessage, error) {
	if len(sensitive) == 0 || o == nil {
		return encode(o)
	}
	attrs, err := Attributes(o, sensitive, key)
	if err != nil {
		return nil, err
	}
	b := []byte{'{'}
	for i, a := range attrs {
		if i > 0 {
			b = append(b, ',')
		}
		name, err := encode(a.Name)
		if err != nil {
			return nil, err
		}
		b = append(append(append(b, name...), ':'), a.Value...)
	}
	return append(b, '}'), nil
}

// attributes takes an object's JSON apart, which json.Unmarshal would do without keeping the order.
func attributes(o Object) ([]Attribute, error) {
	if o == nil {
		return nil, nil
	}
	data, err := encode(o)
	if err != nil {
		return nil, err
	}
	d := json.NewDecoder(bytes.NewReader(data))
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return nil, fmt.Errorf("cannot read the attributes of a %T: its JSON is not an object", o)
	}
	var attrs []Attribute
	for d.More() {
		name, err := d.Token()
		if err != nil {
			return nil, err
		}
		a := Attribute{Name: name.(string)}
		if err := d.Decode(&a.Value); err != nil {
			return nil, err
		}
		attrs = append(attrs, a)
	}
	return attrs, nil
}

func mask(attrs []Attribute, sensitive []string, key []byte) (err error) {
	for i, a := range attrs {
		if !secret(a.Name, sensitive) {
			continue
		}
		attrs[i].Sensitive = true
		if attrs[i].Value, err = maskRaw(key, a.Value); err != nil {
			return err
		}
	}
	return nil
}

func maskRaw(key []byte, value json.RawMessage) (json.RawMessage, error) {
	if value == nil {
		return nil, nil
	}
	return encode(Mask(key, value))
}

// found is the attribute in which objects keep what was there before opdbus.
const found = "found"

// secret says whether an attribute is named as sensitive, or something in it is: what is partly secret is masked whole. So is what was
// found in the place of what is.
func secret(attr string, sensitive []string) bool {
	if attr == found && len(sensitive) > 0 {
		return true
	}
	for _, s := range sensitive {
		if rest, ok := strings.CutPrefix(s, attr); ok && (rest == "" || rest[0] == '.' || rest[0] == '[') {
			return true
		}
	}
	return false
}

// encode is json.Marshal that leaves <, > and & readable.
func encode(v any) (json.RawMessage, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}
