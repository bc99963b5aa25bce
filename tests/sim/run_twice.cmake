# Runs PROGRAM twice with the same seed, with faults "on" or "off", and compares the outputs.
foreach(run 1 2)
  execute_process(COMMAND ${PROGRAM} --seed 7 --steps 30000 --faults ${FAULTS}
                  OUTPUT_VARIABLE output_${run}
                  RESULT_VARIABLE result_${run})
endforeach()
if(NOT output_1 STREQUAL output_2)
  message(FATAL_ERROR "the same seed gave two outputs:\n${output_1}\n${output_2}")
endif()
if(NOT result_1 EQUAL 0)
  message(FATAL_ERROR "${output_1}")
endif()
message("${output_1}")
