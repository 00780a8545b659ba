package hostfs

// Follow walks to dir and tells visit of each name on the way, right before it looks it up, with the directory that it looks it up
// in, as seen from inside the root and without links. Links are names like others, and so are those that they lead over. As long as
// nothing happens to any of these names, the next walk comes to the same end: the directory that was arrived at, without links,
// or none, where something is missing or must not be gone through. An error is one of visit's, and ends the walk.
func (t *Tree) Follow(dir string, visit func(dir, name string) error) (end string, err error) {
	w := t.walk(dir)
	w.visit = func(dir, name string) error {
		err = visit(dir, name)
		return err
	}
	defer w.back(1)
	if w.all() != nil {
		return "", err
	}
	return w.where(""), nil
}
