package desired

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
)

// A digest collects what the configuration came from: the files read, the variables' values, the facts seen. It does not
// depend on where the directory is, nor on the order in which things were read.
type digest struct{ entries map[string]string }

func newDigest() *digest { return &digest{map[string]string{}} }

// source notes a source by the SHA-256 of its bytes: what the file is called does not matter, as the files of a
// configuration are one, in any order.
func (d *digest) source(sum string) { d.entries["source\x00"+sum] = "" }

// file notes a file that was read, by its name in the configuration and the SHA-256 of its bytes.
func (d *digest) file(name, sum string) { d.entries["file\x00"+name] = sum }

// value notes a variable's value or a fact.
func (d *digest) value(kind, name string, value []byte) {
	d.entries[kind+"\x00"+name] = fmt.Sprintf("%x", sha256.Sum256(value))
}

func (d *digest) sum() string {
	keys := make([]string, 0, len(d.entries))
	for k := range d.entries {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	h := sha256.New()
	for _, k := range keys {
		fmt.Fprintf(h, "%d %s %s\n", len(k), k, d.entries[k])
	}
	return "sha256:" + hex.EncodeToString(h.Sum(nil))
}
