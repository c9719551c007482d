// MicroPython 1.28 or newer for the second board. Built out of tree:
//   make -C micropython/ports/esp32 BOARD=esp32_taxi BOARD_DIR=/path/to/boards/esp32_taxi
// MIT licence, (c) 2026 The Flagfall contributors.

#define MICROPY_HW_BOARD_NAME               "Flagfall taximeter"
#define MICROPY_HW_MCU_NAME                 "ESP32"

// The chip has no USB: the console, UART0 behind the board's USB bridge, is the maintenance cable.
#define MICROPY_HW_ENABLE_UART_REPL         (1)

// No radio is used beyond the seed of the random generator.
#define MICROPY_PY_BLUETOOTH                (0)
#define MICROPY_PY_ESPNOW                   (0)

#define MICROPY_HW_I2C0_SCL                 (22)
#define MICROPY_HW_I2C0_SDA                 (21)
