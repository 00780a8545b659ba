package snapshot

import "bytes"

// Encode and Decode are the record's form without a file.
func Encode(r Record) ([]byte, error) { return r.encode() }

// Decode reads what Encode wrote.
func Decode(data []byte) (Record, error) { return decode(bytes.NewReader(data)) }
