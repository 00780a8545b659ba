package reconciler

import (
	"reflect"
	"strings"

	"github.com/opdbus/opdbus/state"
)

// ignore makes what the node's lifecycle ignores be wanted as it is live: ignore_changes what the configuration changed,
// ignore_drift what the host changed.
func (it *item) ignore() {
	l := it.node.Lifecycle
	if len(l.IgnoreChanges) == 0 && len(l.IgnoreDrift) == 0 || it.live == nil || it.made == nil {
		return
	}
	want := reflect.New(it.kind.Object).Elem()
	want.Set(reflect.ValueOf(it.want))
	made, live := reflect.ValueOf(it.made), reflect.ValueOf(it.live)
	for i := range it.kind.Object.NumField() {
		attr, _, _ := strings.Cut(it.kind.Object.Field(i).Tag.Get("json"), ",")
		if attr == "" || attr == "-" {
			continue
		}
		list := l.IgnoreChanges
		if reflect.DeepEqual(made.Field(i).Interface(), want.Field(i).Interface()) {
			list = l.IgnoreDrift
		}
		if ignored(list, it.addr, attr) {
			want.Field(i).Set(live.Field(i))
		}
	}
	it.setWant(want.Interface().(state.Object))
}

// ignored says whether a list names an attribute of an object: "all", KIND["key"], KIND["key"].attribute or KIND.attribute.
func ignored(list []string, a state.Addr, attr string) bool {
	for _, entry := range list {
		switch entry {
		case "all", a.Local(), a.Local() + "." + attr, a.Kind + "." + attr:
			return true
		}
	}
	return false
}
