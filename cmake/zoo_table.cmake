# Writes the C table of the built-in examples. Usage: cmake -DLIST=FILE -DOUTPUT=FILE -P zoo_table.cmake
# LIST holds the paths of the .attn files, separated by semicolons.
file(READ ${LIST} examples)
set(rows "")
set(c "/* Made from examples/ by cmake/zoo_table.cmake. */\n#include \"frontend/driver/zoo.h\"\n\n")
set(k 0)
foreach(path IN LISTS examples)
  get_filename_component(name ${path} NAME_WE)
  file(READ ${path} bytes HEX)
  if(NOT bytes MATCHES "^2320") # "# "
    message(FATAL_ERROR "${path}: the first line must be a comment, it is the title in 'attnc zoo'")
  endif()
  string(REGEX REPLACE "([0-9a-f][0-9a-f])" "'\\\\x\\1'," bytes "${bytes}")
  string(APPEND c "static const char text_${k}[] = {${bytes}};\n")
  string(APPEND rows "    {\"${name}\", text_${k}, sizeof text_${k}},\n")
  math(EXPR k "${k} + 1")
endforeach()
string(APPEND c "\nconst struct zoo_entry zoo_entries[] = {\n${rows}};\nconst int zoo_count = ${k};\n")
file(WRITE ${OUTPUT} "${c}")
