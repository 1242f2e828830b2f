# What `make install` and `cmake --install` put where.  The .pc file finds its prefix from its own
# place, so `cmake --install build --prefix X` and DESTDIR need no new configuration.
include(GNUInstallDirs)

file(RELATIVE_PATH TD_PC_PREFIX "/x/${CMAKE_INSTALL_LIBDIR}/pkgconfig" "/x")
string(REGEX REPLACE "/$" "" TD_PC_PREFIX "${TD_PC_PREFIX}")
configure_file(${PROJECT_SOURCE_DIR}/packaging/tandem.pc.in ${PROJECT_BINARY_DIR}/tandem.pc @ONLY)

install(TARGETS tandem_static ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR})
if(TARGET tandem_shared)
  install(TARGETS tandem_shared LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR})
endif()
if(TARGET tandem)
  install(TARGETS tandem RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
endif()
install(FILES include/tandem.h DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
install(FILES ${PROJECT_BINARY_DIR}/tandem.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
install(FILES LICENSE README.md DESTINATION ${CMAKE_INSTALL_DOCDIR})
file(GLOB TD_INSTALLED_RULES ${PROJECT_SOURCE_DIR}/rules/*.yaml)
install(FILES ${TD_INSTALLED_RULES} DESTINATION ${CMAKE_INSTALL_DATADIR}/tandem/rules)
