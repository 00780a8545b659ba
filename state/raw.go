package state

import "encoding/json"

// A Raw object is one as it was written down, to be looked at only: of a kind that this version does not know or that has
// changed since, or with what is secret in it masked.
type Raw struct {
	Name string // its key
	JSON json.RawMessage
}

// Key is the object's.
func (r Raw) Key() string { return r.Name }

// MarshalJSON gives it as it was written.
func (r Raw) MarshalJSON() ([]byte, error) { return r.JSON, nil }

// ToShow reads an object that is only to be looked at: of its kind, or else as it was written. Nothing is nil.
func (ks Kinds) ToShow(a Addr, written json.RawMessage) Object {
	if len(written) == 0 || string(written) == "null" {
		return nil
	}
	if k := ks.For(a); k != nil {
		if o, err := k.Decode(written); err == nil {
			return o
		}
	}
	return Raw{a.Key, written}
}
