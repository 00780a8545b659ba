package planfile

import (
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"
)

// format is the version of the file's format.
const format = 1

// The members of the archive that a file is. Those that hold content are numbered from 1, behind contentPrefix.
const (
	headMember    = "head.json"
	planMember    = "plan.json"
	shownMember   = "shown.json"
	sealedMember  = "plan.sealed"
	contentPrefix = "content/"
	contentSuffix = ".sealed"
)

func contentMember(n int) string { return fmt.Sprintf("%s%d%s", contentPrefix, n, contentSuffix) }

// A Head says of a saved plan what has to be known before it is looked into. It is public. The keys that seal the plan are
// derived from it, so that nobody can change it without the store's key.
type Head struct {
	Format   int       `json:"format"`
	ID       string    `json:"id"` // 32 random hexadecimal digits: the plan is applied once
	Created  time.Time `json:"created"`
	Expires  time.Time `json:"expires"`
	Opdbus   string    `json:"opdbus"` // the version that made it
	Host     string    `json:"host"`   // the machine id
	Store    string    `json:"store"`  // as seen from inside the root
	Registry string    `json:"registry"`
	Key      string    `json:"key"`    // which store's key seals it
	Config   string    `json:"config"` // the configuration's digest
	Digest   string    `json:"digest"` // the plan's
	// Rollback is what a plan that takes back runs goes back to; empty for others.
	Rollback string `json:"rollback,omitempty"`
	// Plan and Shown are the digests of the other public members.
	Plan  string `json:"plan"`
	Shown string `json:"shown"`
}

// Here is where and when a plan is to be applied.
type Here struct {
	Host, Store, Opdbus string
	Key                 []byte // the store's
	Now                 time.Time
}

// Refuse says why the plan cannot be applied here; empty when nothing in its head speaks against it.
func (h *Head) Refuse(here Here) string {
	const again = "make a new plan here"
	switch {
	case h.Host != here.Host:
		return fmt.Sprintf("the plan was made for the host with machine id %s and this one has %s; %s", printable(h.Host), here.Host, again)
	case h.Store != here.Store:
		return fmt.Sprintf("the plan was made for the store %s and this one is %s; leave out --store, or %s", printable(h.Store), here.Store, again)
	case h.Key != keyID(here.Key):
		return fmt.Sprintf("the plan was made for another store than the one that is at %s now; %s", here.Store, again)
	case !here.Now.Before(h.Expires):
		return fmt.Sprintf("the plan expired at %s; make a new plan", h.Expires.UTC().Format(time.RFC3339))
	case h.Opdbus != here.Opdbus:
		return fmt.Sprintf("the plan was made by opdbus %s and this is %s, which may do it otherwise than it was shown; make a new plan", printable(h.Opdbus), here.Opdbus)
	}
	return ""
}

// printable is text of a file that anybody may have made, fit for a terminal.
func printable(s string) string {
	const most = 100
	if len(s) > most {
		s = s[:most]
	}
	return strings.Trim(fmt.Sprintf("%+q", s), `"`)
}

// keyID tells one store's key from another's and nothing of what it is.
func keyID(key []byte) string {
	if len(key) == 0 {
		return ""
	}
	id, err := hkdf.Key(sha256.New, key, nil, "opdbus saved plan: which key", 16)
	if err != nil {
		panic(err) // only for a length that the hash does not allow
	}
	return hex.EncodeToString(id)
}

func digestOf(data []byte) string {
	sum := sha256.Sum256(data)
	return "sha256:" + hex.EncodeToString(sum[:])
}

// decodeHead reads a head. The version of the format comes first, since nothing else is known of another one.
func decodeHead(data []byte) (*Head, error) {
	var h Head
	if err := json.Unmarshal(data, &h); err != nil && h.Format == 0 {
		return nil, fmt.Errorf("its head is damaged: %w", err)
	} else if h.Format != format {
		return nil, fmt.Errorf("its format is version %d, and this opdbus knows version %d only", h.Format, format)
	} else if err != nil {
		return nil, fmt.Errorf("its head is damaged: %w", err)
	}
	if id, err := hex.DecodeString(h.ID); err != nil || len(id) != idSize {
		return nil, errors.New("its head is damaged: it has no id")
	}
	return &h, nil
}

const idSize = 16
