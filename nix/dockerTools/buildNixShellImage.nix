{ ... }: throw "later"
