package faulttest

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// The log has the format of the kernel's dm-log-writes (Documentation/admin-guide/device-mapper/log-writes.rst): a sector
// with the superblock, then for each entry one with its header and those with its data.

// logSuper is struct log_write_super.
type logSuper struct {
	Magic, Version, Entries uint64
	SectorSize              uint32
}

// logEntry is struct log_write_entry.
type logEntry struct {
	Sector, Sectors, Flags, DataLen uint64
}

const (
	logMagic   = 0x6a736677736872
	logVersion = 1

	flagFlush   = 1
	flagFUA     = 2
	flagDiscard = 4
)

// An Entry is one thing that a disk was told to do.
type Entry struct {
	Offset, Length int64 // in bytes
	// Flush says that all entries up to this one are on the disk for good.
	Flush bool
	// Discard says that what was there may be forgotten; there is no data.
	Discard bool
	data    int64 // where in the log its data is
}

func (e Entry) String() string {
	what := "write"
	if e.Discard {
		what = "discard"
	}
	s := fmt.Sprintf("%s %d+%d", what, e.Offset, e.Length)
	switch {
	case e.Flush && e.Length == 0:
		return "flush"
	case e.Flush:
		return s + " flush"
	}
	return s
}

// readLog reads which entries there are, without their data.
func readLog(log io.ReaderAt) ([]Entry, error) {
	var super logSuper
	if err := binary.Read(io.NewSectionReader(log, 0, 512), binary.LittleEndian, &super); err != nil {
		return nil, fmt.Errorf("cannot read the log's superblock: %w", err)
	}
	if super.Magic != logMagic || super.Version != logVersion || super.SectorSize < 512 || super.SectorSize > 4096 {
		return nil, fmt.Errorf("this is no log of version %d of writes", logVersion)
	}
	size := int64(super.SectorSize)
	var entries []Entry
	for at := size; uint64(len(entries)) < super.Entries; {
		var raw logEntry
		if err := binary.Read(io.NewSectionReader(log, at, size), binary.LittleEndian, &raw); err != nil {
			return nil, fmt.Errorf("cannot read entry %d of %d of the log: %w", len(entries), super.Entries, err)
		}
		const most = 1 << 40 // sectors: far beyond any disk, and no overflow
		if raw.Sector > most || raw.Sectors > most {
			return nil, fmt.Errorf("entry %d of the log is damaged: sector %d, %d sectors", len(entries), raw.Sector, raw.Sectors)
		}
		at += size
		e := Entry{
			Offset: int64(raw.Sector) * size, Length: int64(raw.Sectors) * size, data: at,
			Flush: raw.Flags&(flagFlush|flagFUA) != 0, Discard: raw.Flags&flagDiscard != 0,
		}
		if !e.Discard && e.Length > 0 {
			at += e.Length
			if _, err := log.ReadAt(make([]byte, 1), at-1); err != nil {
				return nil, fmt.Errorf("cannot read the data of entry %d of the log: %w", len(entries), err)
			}
		}
		entries = append(entries, e)
	}
	return entries, nil
}

// apply does to an image what was done to the disk.
func (e Entry) apply(log io.ReaderAt, image *os.File) error {
	if e.Discard {
		err := unix.Fallocate(int(image.Fd()), unix.FALLOC_FL_PUNCH_HOLE|unix.FALLOC_FL_KEEP_SIZE, e.Offset, e.Length)
		if errors.Is(err, unix.EOPNOTSUPP) {
			return nil // a disk need not forget what it may
		}
		return err
	}
	n, err := io.Copy(io.NewOffsetWriter(image, e.Offset), io.NewSectionReader(log, e.data, e.Length))
	if err == nil && n < e.Length {
		err = io.ErrUnexpectedEOF
	}
	return err
}
