package state

import (
	"fmt"
	"reflect"
	"strings"
)

// An Acceptance is what a configuration has to say for an object to be wanted as it is live.
type Acceptance struct {
	// Set are attributes of the block at Block; of the one that declares the object, when that is zero.
	Set   []Setting
	Block Range
	// Write are files that the object is made from, and what they have to hold.
	Write []Content
}

// A Setting is an attribute with its value, which is of a type that an object's field may have.
type Setting struct {
	Name  string
	Value any
}

// A Content is a file with what is in it.
type Content struct {
	Path string // absolute
	Data []byte
}

// acceptTagged is what a kind accepts that does not say otherwise: each attribute that differs is set under its own name.
func acceptTagged(want, live Object) (Acceptance, error) {
	var a Acceptance
	w, l := reflect.ValueOf(want), reflect.ValueOf(live)
	for i := range w.NumField() {
		field := w.Type().Field(i)
		name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		if name == "-" || reflect.DeepEqual(w.Field(i).Interface(), l.Field(i).Interface()) {
			continue
		}
		attr, how, _ := strings.Cut(field.Tag.Get("hcl"), ",")
		if attr == "" || how != "" && how != "optional" {
			return a, fmt.Errorf("no attribute of a block says what its %s is; opdbus apply puts it back", name)
		}
		switch l.Field(i).Kind() {
		case reflect.Pointer, reflect.Slice, reflect.Map, reflect.Interface:
			if l.Field(i).IsNil() {
				return a, fmt.Errorf("it has no %s any more; take %q out of its block by hand", name, attr)
			}
		}
		a.Set = append(a.Set, Setting{attr, l.Field(i).Interface()})
	}
	return a, nil
}
