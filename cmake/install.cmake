# What `make install` installs: the compiler, the runtime, the examples, and how CMake and pkg-config find them.
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)
install(TARGETS attnc RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
install(TARGETS attn_static attn_shared EXPORT attnc-targets
  ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR} LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(FILES runtime/attn.h DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
install(FILES ${examples} DESTINATION ${CMAKE_INSTALL_DATADIR}/attnc/examples)
set(ATTN_LIBS_PRIVATE "-lm")
if(OpenMP_C_FOUND)
  set(ATTN_LIBS_PRIVATE "-lm ${OpenMP_C_FLAGS}")
endif()
file(RELATIVE_PATH ATTN_PC_PREFIX "/${CMAKE_INSTALL_LIBDIR}/pkgconfig" "/")
configure_file(runtime/attn.pc.in attn.pc @ONLY)
install(FILES ${CMAKE_BINARY_DIR}/attn.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
set(package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/attnc)
install(EXPORT attnc-targets NAMESPACE attnc:: DESTINATION ${package_dir})
configure_package_config_file(cmake/attnc-config.cmake.in attnc-config.cmake INSTALL_DESTINATION ${package_dir}
  PATH_VARS CMAKE_INSTALL_BINDIR)
write_basic_package_version_file(attnc-config-version.cmake COMPATIBILITY SameMajorVersion)
install(FILES ${CMAKE_BINARY_DIR}/attnc-config.cmake ${CMAKE_BINARY_DIR}/attnc-config-version.cmake
  cmake/attnc-functions.cmake DESTINATION ${package_dir})
