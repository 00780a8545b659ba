package desired

func (l *loader) checkSchema(in *instance) {}
