"""Pages as a person sees them: in a headless Chromium. Without one these tests are skipped."""
