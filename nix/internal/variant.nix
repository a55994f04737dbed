/**
  The variant of the architecture that an image is for, or is asked for; null for none.

  # Inputs

  `variant` (string)
  : What was asked for; null takes that of the packages, if it is about their architecture.

  `arch` (string)
  : The architecture, as Go names it.
*/
{ go }:
{ variant, arch }:
# Go has variants of 32-bit ARM only.
if variant == null && arch == go.GOARCH && (go.GOARM or "") != "" then "v${go.GOARM}" else variant
