# attnc_add_kernel(TARGET MODEL.attn [OPTIONS ...]): compiles an attention when the target is built, adds
# its object and its header's directory to the target, and links the runtime.
function(attnc_add_kernel target model)
  cmake_parse_arguments(arg "" "" "OPTIONS" ${ARGN})
  get_filename_component(path ${model} ABSOLUTE)
  get_filename_component(stem ${model} NAME_WE)
  set(dir ${CMAKE_CURRENT_BINARY_DIR}/attnc.${target})
  file(MAKE_DIRECTORY ${dir})
  add_custom_command(OUTPUT ${dir}/${stem}.o ${dir}/${stem}.h
    COMMAND ${ATTNC_EXECUTABLE} ${path} -o ${dir}/${stem}.o --header=${dir}/${stem}.h ${arg_OPTIONS}
    DEPENDS ${path} ${ATTNC_EXECUTABLE} VERBATIM)
  set_source_files_properties(${dir}/${stem}.o PROPERTIES EXTERNAL_OBJECT TRUE GENERATED TRUE)
  target_sources(${target} PRIVATE ${dir}/${stem}.o ${dir}/${stem}.h)
  target_include_directories(${target} PRIVATE ${dir})
  target_link_libraries(${target} PRIVATE attnc::attn)
endfunction()
