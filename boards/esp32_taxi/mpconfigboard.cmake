# MicroPython's build reads this file; see mpconfigboard.h for the command.
set(IDF_TARGET esp32)

# The port's shared settings have changed names between releases: take those that exist.
set(SDKCONFIG_DEFAULTS boards/sdkconfig.base ${SDKCONFIG_IDF_VERSION_SPECIFIC})
foreach(part 240mhz spiram)
    if(EXISTS ${CMAKE_SOURCE_DIR}/boards/sdkconfig.${part})
        list(APPEND SDKCONFIG_DEFAULTS boards/sdkconfig.${part})
    endif()
endforeach()
list(APPEND SDKCONFIG_DEFAULTS ${MICROPY_BOARD_DIR}/sdkconfig.board)

# The name of the partition table must be absolute, for this folder is outside MicroPython's tree.
file(WRITE ${CMAKE_BINARY_DIR}/sdkconfig.partitions
    "CONFIG_PARTITION_TABLE_CUSTOM=y\n"
    "CONFIG_PARTITION_TABLE_CUSTOM_FILENAME=\"${MICROPY_BOARD_DIR}/partitions.csv\"\n"
)
list(APPEND SDKCONFIG_DEFAULTS ${CMAKE_BINARY_DIR}/sdkconfig.partitions)

set(MICROPY_FROZEN_MANIFEST ${MICROPY_BOARD_DIR}/manifest.py)
