package statejson

import "slices"

// packages translates {"packages": {NAME: {"ensure", "version", "provider"}}}.
func (t *translator) packages(node *block, section *member) {
	o, ok := t.object(section.value, "Section packagekit", "version", "packages")
	if !ok {
		return
	}
	if v := o.get("version"); v != nil {
		t.version(o)
	}
	if o.get("packages") == nil {
		return
	}
	packages, ok := t.open(o.get("packages").value, quoted("packages"))
	if !ok {
		return
	}
	for i := range packages.members {
		t.softwarePackage(node, &packages.members[i])
	}
}

func (t *translator) softwarePackage(node *block, m *member) {
	o, ok := t.object(m.value, "A package", "ensure", "version", "provider")
	if !ok {
		if m.value.sort == isNull {
			t.errorf(m.at, "Wrong type", "Package %q has to be an object.", m.name)
		}
		return
	}
	b := node.add("package", m.at, m.name)
	known := []string{"installed", "removed", "latest"}
	ensure := o.get("ensure")
	if word, ok := t.text(ensure); ok {
		if !slices.Contains(known, word) {
			t.errorf(ensure.value.at, "Unknown word", "%q is none of %q.%s", word, known, t.hint(word, known))
		}
		b.set("ensure", ensure.span(), text(ensure.value.at, word))
	}
	if version := o.get("version"); version != nil {
		if word, ok := t.text(version); ok {
			b.set("version", version.span(), text(version.value.at, word))
		}
	}
	if provider := o.get("provider"); provider != nil {
		t.leftOut(provider, "has no counterpart: PackageKit knows the package manager of the host.")
	}
}
