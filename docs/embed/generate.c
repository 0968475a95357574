/* Goes on with a text, through the C interface alone.
 * SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#include <qopt/qopt.h>

#include <stdio.h>
#include <string.h>

static int print(void *user, int32_t token, const char *text, size_t size) {
  (void)user, (void)token;
  fwrite(text, 1, size, stdout);
  fflush(stdout);
  return 1; /* 0 stops */
}

int main(int argc, char **argv) {
  if (argc != 3) {
    fprintf(stderr, "usage: generate_c model.qopt PROMPT\n");
    return 2;
  }
  qopt_artifact *artifact = NULL;
  qopt_engine *engine = NULL;
  qopt_request request;
  qopt_request_defaults(&request);
  request.text = argv[2];
  request.text_size = strlen(argv[2]);
  request.max_tokens = 50;
  int failed =
      qopt_artifact_open(argv[1], QOPT_OPEN_CHECKED, &artifact) != QOPT_OK ||
      qopt_engine_create(artifact, NULL, &engine) != QOPT_OK ||
      qopt_engine_generate(engine, &request, print, NULL, NULL) != QOPT_OK;
  if (failed)
    fprintf(stderr, "error: %s\n", qopt_last_error());
  else
    printf("\n");
  qopt_engine_release(engine);
  qopt_artifact_release(artifact);
  return failed;
}
