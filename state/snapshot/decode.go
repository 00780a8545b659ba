package snapshot

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
)

// ReadRecord reads the whole record in the file at path.
func ReadRecord(path string) (Record, error) {
	f, err := os.Open(path)
	if err != nil {
		return Record{}, fmt.Errorf("cannot read the record of a snapshot: %w", err)
	}
	defer f.Close()
	r, err := decode(f)
	if err != nil {
		return Record{}, fmt.Errorf("cannot read the record %s: %w", path, err)
	}
	return r, nil
}

// readHead reads no further than the head.
func readHead(path string) (Head, error) {
	f, err := os.Open(path)
	if err != nil {
		return Head{}, fmt.Errorf("cannot read the record of the snapshot: %w", err)
	}
	defer f.Close()
	h, err := decodeHead(json.NewDecoder(f))
	if err != nil {
		return Head{}, fmt.Errorf("cannot read the record %s: %w", path, err)
	}
	return h, nil
}

func decode(from io.Reader) (Record, error) {
	d := json.NewDecoder(from)
	head, err := decodeHead(d)
	if err != nil {
		return Record{}, err
	}
	r := Record{Head: head}
	if err := d.Decode(&r.Objects); err != nil {
		return Record{}, unexpected(err)
	}
	for i, o := range r.Objects {
		if bytes.Equal(o.Live, []byte("null")) {
			r.Objects[i].Live = nil
		}
		if o.Addr.IsNode() && o.Addr.Node.Name == "" {
			return Record{}, fmt.Errorf("object %d has no address", i+1)
		}
	}
	if err := expect(d, json.Delim('}')); err != nil {
		return Record{}, err
	}
	if _, err := d.Token(); err != io.EOF {
		return Record{}, errors.New("something follows the record's end")
	}
	return r, nil
}

// decodeHead reads up to the value of "objects", which comes last.
func decodeHead(d *json.Decoder) (Head, error) {
	var h Head
	fields := map[string]any{
		"version": &h.Version, "run": &h.Run, "step": &h.Step, "node": &h.Node, "subvolume": &h.Subvolume, "phase": &h.Phase,
		"plan": &h.Plan, "created": &h.Created, "existed": &h.Existed,
	}
	if err := expect(d, json.Delim('{')); err != nil {
		return Head{}, err
	}
	for d.More() {
		key, err := d.Token()
		if err != nil {
			return Head{}, unexpected(err)
		}
		if key == "objects" {
			return h, h.check()
		}
		field, ok := fields[key.(string)]
		if !ok {
			return Head{}, fmt.Errorf("it has an unknown field %q", key)
		}
		if err := d.Decode(field); err != nil {
			return Head{}, fmt.Errorf("%s: %w", key, unexpected(err))
		}
	}
	return Head{}, errors.New("it ends before the objects")
}

func expect(d *json.Decoder, want json.Token) error {
	got, err := d.Token()
	if err != nil {
		return unexpected(err)
	}
	if got != want {
		return fmt.Errorf("found %v instead of %v", got, want)
	}
	return nil
}

// unexpected makes the end of a file an error that says so.
func unexpected(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}
