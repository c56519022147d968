#!/bin/sh
# Every header compiles alone. Usage: headers.sh ROOT CC LLVM_INCLUDE
cd "$1" || exit 1
failed=0
for h in $(find frontend ir passes codegen runtime -name '*.h'); do
  echo "#include \"$h\"" | "$2" -std=gnu17 -fsyntax-only -I. -isystem "$3" -x c - || { echo "$h does not compile alone"; failed=1; }
done
exit $failed
