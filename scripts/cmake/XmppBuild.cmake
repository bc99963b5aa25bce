# Compiler settings and the helpers that every CMakeLists.txt of the project uses.
set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
set(CMAKE_RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/bin)
set(CMAKE_LIBRARY_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/lib)
set(CMAKE_ARCHIVE_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/lib)
set(CMAKE_CXX_FLAGS_RELWITHDEBINFO "-O2 -g1")
set(CMAKE_CXX_FLAGS_DEBUG "-O0 -g1")
include(GNUInstallDirs)
set(CMAKE_INSTALL_RPATH "$ORIGIN/../${CMAKE_INSTALL_LIBDIR};$ORIGIN")

find_program(XMPP_CCACHE ccache)
if(XMPP_CCACHE AND NOT CMAKE_CXX_COMPILER_LAUNCHER)
  set(CMAKE_CXX_COMPILER_LAUNCHER ${XMPP_CCACHE})
endif()

add_compile_options(-Wall -Wextra -Wpedantic -Wshadow -Wnon-virtual-dtor -Woverloaded-virtual
                    -Wimplicit-fallthrough -Werror -fno-omit-frame-pointer)
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  # Members whose defaults are meant are left out of designated initialisers on purpose.
  # GCC 12 takes values of optionals and variants for uninitialised where they are not (with -O2, and with
  # sanitizers); clang and the sanitizers themselves look for the real ones.
  add_compile_options(-Wno-missing-field-initializers -Wno-maybe-uninitialized)
else()
  add_compile_options(-Wno-missing-field-initializers -Wno-unused-command-line-argument)
endif()

if(XMPP_SANITIZE)
  add_compile_options(-fsanitize=${XMPP_SANITIZE} -fno-sanitize-recover=all)
  add_link_options(-fsanitize=${XMPP_SANITIZE})
  if(XMPP_SANITIZE MATCHES "address" AND CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    # vptr checks need RTTI of classes that cross dlopen(RTLD_LOCAL); the modules would report falsely.
    add_compile_options(-fno-sanitize=vptr)
  endif()
  # -O1 keeps sanitized tests fast enough for CI.
  set(CMAKE_CXX_FLAGS_DEBUG "-O1 -g1")
endif()
if(XMPP_FUZZ)
  add_compile_options(-fsanitize=fuzzer-no-link)
endif()

# What the project stands on, all from Debian packages.
find_package(OpenSSL 3.0 REQUIRED)
find_package(ICU REQUIRED COMPONENTS uc i18n)
find_package(Poco 1.11 REQUIRED COMPONENTS Foundation Net NetSSL Crypto JSON)
find_package(Threads REQUIRED)
if(XMPP_TOOLS)
  find_package(SQLiteCpp REQUIRED)
endif()
