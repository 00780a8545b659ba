package render

import (
	"bytes"
	"io"
	"strings"
	"text/tabwriter"
)

// Table writes rows below their headers in columns, two spaces apart. Without headers it writes the rows only.
func Table(w io.Writer, headers []string, rows [][]string) error {
	var b bytes.Buffer
	t := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	if len(headers) > 0 {
		rows = append([][]string{headers}, rows...)
	}
	for _, row := range rows {
		cells := make([]string, len(row))
		for i, cell := range row {
			cells[i] = clean(cell, false)
		}
		if err := write(t, []byte(strings.Join(cells, "\t")+"\n")); err != nil {
			return err
		}
	}
	if err := t.Flush(); err != nil {
		return err
	}
	var out bytes.Buffer
	for line := range strings.Lines(b.String()) {
		out.WriteString(strings.TrimRight(line, " \n") + "\n")
	}
	return write(w, out.Bytes())
}
