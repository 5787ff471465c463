import { expect, test } from 'vitest';
import { applicationMarks, detectApplication } from '../../src/config/application.ts';

test.each([
  ['magento', ['bin/magento', 'composer.json']],
  ['wordpress', ['wp-config.php', 'index.php']],
  ['wordpress', ['wp-includes/version.php']],
  ['drupal', ['core/lib/Drupal.php']],
  ['drupal', ['web/core/lib/Drupal.php', 'composer.json']],
  ['moodle', ['lib/moodlelib.php', 'config.php']],
  ['rails', ['config/application.rb', 'Gemfile']],
  ['django', ['manage.py']],
] as const)('%s is told by %j', (application, files) => {
  expect(detectApplication(files)).toBe(application);
});

test.each([[[]], [['index.php']], [['Gemfile']], [['config/application.rb']], [['my-manage.py']]])(
  '%j tells none',
  (files: string[]) => {
    expect(detectApplication(files)).toBeNull();
  },
);

test('every mark tells its application, alone or with those beside it', () => {
  expect(applicationMarks).toContain('bin/magento');
  expect(detectApplication(applicationMarks)).toBe('magento');
});
