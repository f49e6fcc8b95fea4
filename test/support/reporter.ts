import type { Reporter, TestCase, TestModule, TestRunEndReason, Vitest } from 'vitest/node';

/**
 * Ends a run with one plain line, `N passed, N failed, N skipped`, after the reason of every skipped test.
 *
 * With `CI=true` in the environment a skip fails the run: there, every tool is expected to be installed.
 */
export class CountReporter implements Reporter {
  private filtered = false;

  onInit(vitest: Vitest): void {
    this.filtered = vitest.config.testNamePattern !== undefined;
  }

  onTestRunEnd(
    modules: readonly TestModule[],
    unhandledErrors: readonly unknown[],
    reason: TestRunEndReason,
  ): void {
    const tests = modules.flatMap((module) => [...module.children.allTests()]);
    const skipped = tests.filter((test) => test.result().state === 'skipped');
    const passed = tests.filter((test) => test.result().state === 'passed').length;
    // A file that cannot be loaded, a hook that throws and a stray rejection belong to no test.
    const outside =
      unhandledErrors.length + modules.reduce((sum, module) => sum + errorsOutsideTests(module), 0);
    const failed = tests.filter((test) => test.result().state === 'failed').length + outside;

    for (const test of skipped) {
      const note = noteOf(test);
      // With `-t NAME`, tests left out by name would bury the reasons.
      if (note !== undefined || !this.filtered) {
        console.log(
          `skipped: ${test.module.relativeModuleId} > ${test.fullName}: ${note ?? 'no reason given'}`,
        );
      }
    }
    if (reason === 'interrupted') {
      console.log('interrupted: not every test ran');
    }
    if (failed > 0 || (skipped.length > 0 && process.env['CI'] === 'true')) {
      process.exitCode = 1;
    }
    console.log(`${passed} passed, ${failed} failed, ${skipped.length} skipped`);
  }
}

function noteOf(test: TestCase): string | undefined {
  const result = test.result();
  return result.state === 'skipped' ? result.note : undefined;
}

function errorsOutsideTests(module: TestModule): number {
  let count = module.errors().length;
  for (const suite of module.children.allSuites()) {
    count += suite.errors().length;
  }
  return count;
}
