package stage

import (
	"strconv"
	"strings"
)

// Recorded says that the ledger's entry surely is of the file as it is wanted, whatever is remembered besides. Of a
// copy-if-not-exists that is only that it is one: what was written once is the user's to edit from then on.
func (f *files) Recorded(made []byte, want File) bool {
	e := entry{made, true}
	e.text(`{"path":"`, want.Path)
	e.text(`,"target":"`, want.Target)
	e.text(`,"type":"`, want.Type)
	if want.Type == typeCopyOnce {
		return e.ok
	}
	e.optional(`,"mode":"`, want.Mode)
	e.optional(`,"owner":"`, want.Owner)
	e.optional(`,"group":"`, want.Group)
	e.optional(`,"link":"`, want.Link)
	e.optional(`,"digest":"`, want.Digest)
	return e.ends() || e.goesOn(`,"parents":`) || e.goesOn(`,"backup":`) || e.goesOn(`,"was":`) || e.goesOn(`,"kept":`)
}

// Recorded says that the ledger's entry surely is of the payload as it is wanted.
func (p *payloads) Recorded(made []byte, want Payload) bool {
	e := entry{made, true}
	e.text(`{"path":"`, want.Path)
	e.text(`,"type":"`, want.Type)
	e.optional(`,"mode":"`, want.Mode)
	e.optional(`,"owner":"`, want.Owner)
	e.optional(`,"group":"`, want.Group)
	if want.Size != 0 {
		e.number(`,"size":`, want.Size)
	}
	e.optional(`,"digest":"`, want.Digest)
	e.optional(`,"link":"`, want.Link)
	return e.ends()
}

// An entry of the ledger is read along what it is to say, in the order in which encoding/json writes it. It is ok as long as it
// says that.
type entry struct {
	rest []byte
	ok   bool
}

// text goes past a member whose value is a string. One that JSON may have to escape is never ok.
func (e *entry) text(name, value string) {
	n := len(name) + len(value)
	if !e.ok || len(e.rest) <= n || string(e.rest[:len(name)]) != name || string(e.rest[len(name):n]) != value || e.rest[n] != '"' ||
		strings.IndexByte(value, '"') >= 0 || strings.IndexByte(value, '\\') >= 0 {
		e.ok = false
		return
	}
	e.rest = e.rest[n+1:]
}

// optional is text for a member that is not there when it is empty.
func (e *entry) optional(name, value string) {
	if value != "" {
		e.text(name, value)
	}
}

func (e *entry) number(name string, value int64) {
	var buf [20]byte
	digits := strconv.AppendInt(buf[:0], value, 10)
	n := len(name) + len(digits)
	if !e.ok || len(e.rest) <= n || string(e.rest[:len(name)]) != name || string(e.rest[len(name):n]) != string(digits) {
		e.ok = false
		return
	}
	e.rest = e.rest[n:]
}

// ends says that nothing else is in it.
func (e *entry) ends() bool { return e.ok && string(e.rest) == "}" }

// goesOn says that the next member is another one.
func (e *entry) goesOn(name string) bool {
	return e.ok && len(e.rest) > len(name) && string(e.rest[:len(name)]) == name
}
