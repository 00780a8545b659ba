package sysbus

import (
	"encoding/xml"

	"github.com/godbus/dbus/v5/introspect"
)

// parse reads what an object says of itself. The document type that it names is not fetched.
func parse(text string) (*introspect.Node, error) {
	var node introspect.Node
	if err := xml.Unmarshal([]byte(text), &node); err != nil {
		return nil, err
	}
	return &node, nil
}
